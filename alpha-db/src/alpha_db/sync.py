"""Brings run folders into the database: what is new in them, and what waits in their outboxes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from alpha_core.infrastructure import infrastructure
from alpha_core.json_value import json_value
from alpha_core.observer import Event, Sample
from alpha_db.connection import Value
from alpha_db.database import STALE_SECONDS, Database
from alpha_db.delivery import deliver
from alpha_db.folder import LOGS, LogLine, RunFiles, folders_in
from alpha_db.outbox import Outbox, OutboxInUseError, outbox_of
from alpha_db.row import Row, stored_value, time_text
from alpha_db.run_rows import checkpoint_row, config_columns, created_at, event_rows, metrics_row, sample_row

__all__ = ["SyncedRun", "sync_runs"]

_ENDINGS = {"training_complete": "completed", "early_stop": "early_stopped"}
_STARTS = ("training_started", "run_resumed")
_UNSURE = ("stopped", "stale")
"""What a folder says of a run whose end it does not tell; an end that is stored, such as `failed`, stands."""


@attrs.define(kw_only=True)
class SyncedRun:
    """What was brought in of a run."""

    run_id: str
    metrics: int = 0
    events: int = 0
    samples: int = 0
    checkpoints: int = 0
    delivered: int = 0
    """Rows that waited in the outbox."""
    skipped: int = 0
    """Lines that could not be read."""
    problem: str | None = None
    """Why it was left out."""

    @property
    def changed(self) -> bool:
        return bool(self.metrics or self.events or self.samples or self.checkpoints or self.delivered or self.skipped)


def sync_runs(runs: Path, database: Database, *, run_id: str | None = None) -> Iterator[SyncedRun]:
    """Brings in every run folder below `runs`, or one; yields what came of each.

    Only what was added to a log since the last time is read. Calling it again, or from two processes at once, changes
    nothing. Raises `DatabaseError`.
    """
    database.mark_stale()
    stored = {
        run: (status, mtime) for run, status, mtime in database.read("SELECT run_id, status, disk_mtime FROM runs")
    }
    for files in folders_in(runs):
        if run_id is None or files.run_id == run_id:
            try:
                yield _sync_run(files, database, *stored.get(files.run_id, (None, None)))
            except OSError as error:
                yield SyncedRun(run_id=files.run_id, problem=f"`{error.filename}`: {error.strerror}")


def _sync_run(files: RunFiles, database: Database, status: Value, mtime: Value) -> SyncedRun:
    result = SyncedRun(run_id=files.run_id)
    _deliver_outbox(files, database, result)
    modified = files.modified()
    if mtime == modified:
        return result
    config = files.config()
    if config is None:
        result.problem = f"`{files.path / 'config.json'}` is damaged"
        return result
    known = None if status is None else str(status)
    before = _checkpoints_of(files.run_id, database)
    # First, so that what follows belongs to a run that is there; last, so that it is done again if it breaks off.
    database.write([_run_row(files, config, known)], heartbeat=False)
    ending = _sync_logs(files, database, result)
    _sync_checkpoints(files, database)
    result.checkpoints = _checkpoints_of(files.run_id, database) - before
    last = _ending_row(files, known, ending, modified)
    database.write([last], heartbeat=False)
    return result


def _deliver_outbox(files: RunFiles, database: Database, result: SyncedRun) -> None:
    path = outbox_of(files.path)
    if not path.is_dir():
        return
    try:
        with Outbox(path) as outbox:
            delivered = deliver(outbox, database, heartbeat=False)
    except OutboxInUseError:  # its own trainer does that
        return
    result.delivered, result.skipped = delivered.rows, result.skipped + delivered.skipped


def _run_row(files: RunFiles, config: dict[str, Any], known: str | None) -> Row:
    modified = datetime.fromtimestamp((files.path / "config.json").stat().st_mtime, UTC)
    values: dict[str, Any] = {
        "run_id": files.run_id,
        **config_columns(config),
        "created_at": created_at(files.run_id, modified),
        "folder": str(files.path.absolute()),
        "hostname": infrastructure()["hostname"],
    }
    parameters = files.parameters()
    if parameters is not None:
        values["estimated_params"] = parameters
    if known is None:
        values["status"] = "stopped"
    else:
        del values["backend"]  # the sink knows which one it was, the configuration may say `auto`
    return Row("runs", {column: stored_value(value) for column, value in values.items()})


def _sync_logs(files: RunFiles, database: Database, result: SyncedRun) -> str | None:
    """Brings in the new lines of the logs; returns what the last event about it says of the end of the run."""
    state = {
        str(file): (position, beginning)
        for file, position, beginning in database.read(
            "SELECT file, position, beginning FROM sync_state WHERE run_id = ?", (files.run_id,)
        )
    }
    for log in LOGS:
        position, beginning = state.get(log, (0, ""))
        now = files.beginning(log)
        start = position if now == beginning and isinstance(position, int) and position <= files.size(log) else 0
        _sync_log(files, log, start, now, database, result)
    ending = None
    for line in files.lines("events.jsonl"):
        kind = line.content.get("kind") if line.content is not None else None
        if kind in _STARTS:
            ending = None
        elif isinstance(kind, str) and kind in _ENDINGS:
            ending = _ENDINGS[kind]
    return ending


def _sync_log(files: RunFiles, log: str, start: int, beginning: str, database: Database, result: SyncedRun) -> None:
    read, skipped, end = 0, 0, start
    pending: list[Row] = []
    for line in files.lines(log, position=start):
        end = line.end
        rows = _rows_of(files, log, line)
        read, skipped = (read + 1, skipped) if rows else (read, skipped + 1)
        pending += rows
        if len(pending) >= 10_000:  # not the whole log of a long run in memory
            database.write(pending, heartbeat=False)
            pending = []
    if end > start or start == 0:
        pending.append(_state_row(files.run_id, log, end, beginning, skipped))
    database.write(pending, heartbeat=False)
    name = log.removesuffix(".jsonl")
    setattr(result, name, getattr(result, name) + read)
    result.skipped += skipped


def _rows_of(files: RunFiles, log: str, line: LogLine) -> list[Row]:
    """Returns what a line of a log says, nothing if it cannot be read."""
    content = line.content
    if content is None or type(content.get("step")) is not int or abs(content["step"]) >= 2**63:
        return []
    if log == "metrics.jsonl":
        return [metrics_row(files.run_id, content)]
    if not isinstance(content.get("time"), str):
        return []
    return _event_rows(files, content) if log == "events.jsonl" else _sample_rows(files, content)


def _event_rows(files: RunFiles, content: dict[str, Any]) -> list[Row]:
    kind, message, payload = content.get("kind"), content.get("message"), content.get("payload")
    if not isinstance(kind, str) or not isinstance(message, str):
        return []
    event = Event(
        kind=kind,
        message=message,
        step=content["step"],
        level=str(content.get("level", "info")),
        payload=payload if isinstance(payload, dict) else {},
        time=content["time"],
    )
    return event_rows(files.run_id, event, files.path)


def _sample_rows(files: RunFiles, content: dict[str, Any]) -> list[Row]:
    index, prompt, output = content.get("idx"), content.get("prompt"), content.get("output")
    if type(index) is not int or not isinstance(prompt, str) or not isinstance(output, str):
        return []
    sample = Sample(prompt=prompt, output=output, time=content["time"])
    return [sample_row(files.run_id, content["step"], index, sample)]


def _state_row(run_id: str, log: str, position: int, beginning: str, skipped: int) -> Row:
    values: dict[str, Value] = {
        "run_id": run_id,
        "file": log,
        "position": position,
        "beginning": beginning,
        "skipped": skipped,
    }
    return Row("sync_state", values)


def _sync_checkpoints(files: RunFiles, database: Database) -> None:
    """Brings in the files that no event tells of: those of a run without an event log."""
    there = {step for (step,) in database.read("SELECT step FROM checkpoints WHERE run_id = ?", (files.run_id,))}
    new = [checkpoint_row(files.run_id, step, path) for step, path in files.checkpoints().items() if step not in there]
    database.write(new, heartbeat=False)


def _checkpoints_of(run_id: str, database: Database) -> int:
    ((count,),) = database.read("SELECT count(*) FROM checkpoints WHERE run_id = ?", (run_id,))
    assert isinstance(count, int)
    return count


def _ending_row(files: RunFiles, known: str | None, ending: str | None, modified: float) -> Row:
    """How the run stands by its files, and when they changed, which is its last sign of life."""
    if ending is not None:
        status = ending
    elif files.is_training:
        recent = datetime.now(UTC).timestamp() - modified < STALE_SECONDS
        status = "active" if recent else "stale"
    else:
        status = "stopped"
    values: dict[str, Any] = {"run_id": files.run_id, "disk_mtime": modified}
    if status not in _UNSURE or known in (None, "active", *_UNSURE):
        values["status"] = status
    if known != "active":
        values["updated_at"] = time_text(datetime.fromtimestamp(modified, UTC))
    return Row("runs", {column: stored_value(json_value(value)) for column, value in values.items()})
