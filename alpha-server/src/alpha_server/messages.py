"""The messages that a run reports, read from JSON and checked."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

import attrs

from alpha_core.observer import Event, Sample
from alpha_core.run_store import RUN_STATUSES
from alpha_server.errors import RefusedError

__all__ = [
    "Complete",
    "Events",
    "Heartbeat",
    "Message",
    "Metrics",
    "RunStart",
    "Samples",
    "is_safe_run_id",
    "moment_of",
    "parse_messages",
]

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_DATABASE_FILES = (".db", ".db-wal", ".db-shm", ".db-journal")
_LEVELS = ("info", "warning", "error")
_MOST_MESSAGES, _MOST_ROWS, _MOST_FIELDS = 1000, 5000, 256
_LONGEST_NAME, _LONGEST_TEXT = 128, 1 << 20
_DEEPEST = 32

_Fields: TypeAlias = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class RunStart:
    """A run begins or resumes."""

    type: ClassVar[str] = "run_start"
    run_id: str
    config: Mapping[str, Any]
    """As `config.json` holds it."""
    parameters: int | None
    infra: Mapping[str, Any]
    folder: str | None
    """Where the run's files are, on its own machine."""
    time: str


@attrs.frozen(kw_only=True)
class Metrics:
    """Steps were taken; each row has at least `step`."""

    type: ClassVar[str] = "metrics"
    run_id: str
    rows: tuple[Mapping[str, Any], ...]


@attrs.frozen(kw_only=True)
class Heartbeat:
    """A run lives."""

    type: ClassVar[str] = "heartbeat"
    run_id: str
    step: int


@attrs.frozen(kw_only=True)
class Samples:
    """Texts that the model wrote, with their places within the step."""

    type: ClassVar[str] = "samples"
    run_id: str
    step: int
    samples: tuple[tuple[int, Sample], ...]


@attrs.frozen(kw_only=True)
class Events:
    """Things that happened once."""

    type: ClassVar[str] = "events"
    run_id: str
    events: tuple[Event, ...]


@attrs.frozen(kw_only=True)
class Complete:
    """A run ended."""

    type: ClassVar[str] = "complete"
    run_id: str
    final_step: int | None
    status: str
    error: str | None


Message: TypeAlias = RunStart | Metrics | Heartbeat | Samples | Events | Complete


def parse_messages(value: Any) -> list[Message]:
    """Returns the messages in a JSON value: one object, or a list of them.

    Fields that this version does not know are ignored. Raises `RefusedError` (400) with what is wrong and where.
    """
    items = value if isinstance(value, list) else [value]
    if len(items) > _MOST_MESSAGES:
        raise RefusedError(400, f"a body may have {_MOST_MESSAGES} messages")
    messages = []
    for index, item in enumerate(items):
        try:
            _check_values(item)
            messages.append(_message(item))
        except _WrongError as error:
            raise RefusedError(400, f"message {index}: {error}") from error
    return messages


def is_safe_run_id(text: str) -> bool:
    """Tells whether a text can be a run's id, and the name of a folder beside a database on any system."""
    return _RUN_ID.fullmatch(text) is not None and not text.endswith((".", *_DATABASE_FILES))


def moment_of(time: str) -> datetime:
    """Returns the time that a message holds."""
    return datetime.fromisoformat(time).astimezone(UTC)


class _WrongError(ValueError):
    """What is wrong with a message."""


def _check_values(item: Any) -> None:
    """Raises `_WrongError` for what no part of a message needs: deep nesting and enormous integers."""
    level = [item]
    for _ in range(_DEEPEST):
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                deeper += value.values()
            elif isinstance(value, list):
                deeper += value
            elif type(value) is int and not -(2**63) <= value < 2**63:
                raise _WrongError("integers must fit into 64 bits")
        level = deeper
    if level:
        raise _WrongError(f"it is nested more than {_DEEPEST} levels deep")


def _message(item: Any) -> Message:
    if not isinstance(item, dict):
        raise _WrongError("it is no object")
    kind = item.get("type")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise _WrongError(f"its `type` is none of {', '.join(_PARSERS)}")
    run_id = item.get("runId")
    if not isinstance(run_id, str) or not is_safe_run_id(run_id):
        raise _WrongError(
            "`runId` must be up to 128 letters, digits, `.`, `_` and `-`, and begin with a letter or digit"
        )
    return parse(run_id, item)


def _run_start(run_id: str, item: _Fields) -> RunStart:
    config: dict[str, Any] = {"domain": _text(item, "domain", otherwise=None)}
    for section, key in (("model", "modelConfig"), ("train", "trainConfig"), ("sample", "sampleConfig")):
        if key in item:
            config[section] = _object(item, key)
    return RunStart(
        run_id=run_id,
        config=config,
        parameters=_count(item, "totalParams", otherwise=None),
        infra=_object(item, "infra") if item.get("infra") is not None else {},
        folder=_text(item, "folder", otherwise=None),
        time=_time(item),
    )


def _metrics(run_id: str, item: _Fields) -> Metrics:
    rows = _list(item, "metrics")
    for row in rows:
        if not isinstance(row, dict) or len(row) > _MOST_FIELDS or any(len(name) > _LONGEST_NAME for name in row):
            limits = f"{_MOST_FIELDS} fields with names of up to {_LONGEST_NAME} characters"
            raise _WrongError(f"`metrics` must hold objects of up to {limits}")
        _count(row, "step")
    return Metrics(run_id=run_id, rows=tuple(rows))


def _heartbeat(run_id: str, item: _Fields) -> Heartbeat:
    return Heartbeat(run_id=run_id, step=_count(item, "step") or 0)


def _samples(run_id: str, item: _Fields) -> Samples:
    samples = []
    for index, row in enumerate(_list(item, "samples")):
        if not isinstance(row, dict):
            raise _WrongError("`samples` must hold objects")
        place = _count(row, "idx", otherwise=index)
        assert place is not None
        sample = Sample(prompt=_text(row, "prompt") or "", output=_text(row, "output") or "", time=_time(row))
        samples.append((place, sample))
    return Samples(run_id=run_id, step=_count(item, "step") or 0, samples=tuple(samples))


def _event(run_id: str, item: _Fields) -> Events:
    return Events(run_id=run_id, events=(_one_event(_object(item, "event")),))


def _events(run_id: str, item: _Fields) -> Events:
    events = _list(item, "events")
    if not all(isinstance(event, dict) for event in events):
        raise _WrongError("`events` must hold objects")
    return Events(run_id=run_id, events=tuple(map(_one_event, events)))


def _one_event(fields: _Fields) -> Event:
    level = fields.get("level", "info")
    if level not in _LEVELS:
        raise _WrongError(f"`level` must be one of {', '.join(_LEVELS)}")
    kind = _text(fields, "kind")
    if not kind or len(kind) > _LONGEST_NAME:
        raise _WrongError(f"`kind` must have 1 to {_LONGEST_NAME} characters")
    return Event(
        kind=kind,
        message=_text(fields, "message", otherwise="") or "",
        step=_count(fields, "step") or 0,
        level=level,
        payload=_object(fields, "payload") if fields.get("payload") is not None else {},
        time=_time(fields),
    )


def _complete(run_id: str, item: _Fields) -> Complete:
    status = item.get("status", "completed")
    if status not in RUN_STATUSES or status in ("active", "stale"):
        raise _WrongError("`status` must say how a run ended: completed, early_stopped, stopped or failed")
    summary = _object(item, "summary") if item.get("summary") is not None else {}
    return Complete(
        run_id=run_id,
        final_step=_count(item, "finalStep", otherwise=None),
        status=status,
        error=_text(summary, "error", otherwise=None),
    )


_PARSERS: dict[str, Callable[[str, _Fields], Message]] = {
    "run_start": _run_start,
    "metrics": _metrics,
    "heartbeat": _heartbeat,
    "samples": _samples,
    "event": _event,
    "events": _events,
    "complete": _complete,
}
_REQUIRED: Any = object()


def _count(fields: _Fields, name: str, *, otherwise: Any = _REQUIRED) -> int | None:
    """Returns an integer that is not negative and fits into 64 bits."""
    value = fields.get(name, otherwise)
    if value is otherwise and otherwise is not _REQUIRED:
        return value  # type: ignore[no-any-return]
    if type(value) is not int or not 0 <= value < 2**63:
        raise _WrongError(f"`{name}` must be an integer, at least 0 and below 2^63")
    return value


def _text(fields: _Fields, name: str, *, otherwise: Any = _REQUIRED) -> str | None:
    value = fields.get(name, otherwise)
    if value is otherwise and otherwise is not _REQUIRED:
        return value  # type: ignore[no-any-return]
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise _WrongError(f"`{name}` must be a text of up to {_LONGEST_TEXT} characters")
    return value


def _object(fields: _Fields, name: str) -> dict[str, Any]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise _WrongError(f"`{name}` must be an object")
    return value


def _list(fields: _Fields, name: str) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list) or len(value) > _MOST_ROWS:
        raise _WrongError(f"`{name}` must be a list of up to {_MOST_ROWS} items")
    return value


def _time(fields: _Fields) -> str:
    """Returns when something happened, as the message says it, else now."""
    value = fields.get("time")
    if value is None:
        return datetime.now(UTC).isoformat(timespec="microseconds")
    if isinstance(value, str) and _TIME.fullmatch(value) is not None:
        with suppress(ValueError, OverflowError):  # the 31st of February, the year 0
            moment_of(value)
            return value
    raise _WrongError("`time` must be a time such as `2026-01-01T00:00:00.000000+00:00`")
