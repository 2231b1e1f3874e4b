"""The history of loop benchmarks, a line of CSV each, and what a new one is compared with."""

import csv
import io
import statistics
from collections.abc import Sequence
from pathlib import Path

import attrs

from alpha_core.errors import DataError

__all__ = ["Entry", "append_entry", "baseline", "read_history"]

_COMPARED_WITH = 5
_ACCEPTED = "ok"


@attrs.frozen(kw_only=True)
class Entry:
    """One benchmark; the names of the fields are the columns. Empty where there was no measurement."""

    time: str
    """UTC, ISO 8601."""
    status: str
    tokens_per_second: float | None
    ms_per_step: float | None
    spread: float | None
    first_loss: float | None
    last_loss: float | None
    memory_peak_bytes: int | None
    attempts: int
    machine: str
    """A hash of processor and cores."""
    config: str
    """A hash of all that decides how fast it ought to be."""
    cpu: str
    backend: str
    knobs: str
    precision: str
    commit: str
    version: str
    baseline: float | None
    """Tokens a second: what it was compared with."""
    ratio: float | None
    """Tokens a second as a multiple of `baseline`."""
    reasons: str
    log: str


_COLUMNS = [field.name for field in attrs.fields(Entry)]
_NUMBERS = {
    **dict.fromkeys(
        ("tokens_per_second", "ms_per_step", "spread", "first_loss", "last_loss", "baseline", "ratio"), float
    ),
    "memory_peak_bytes": int,
    "attempts": int,
}


def read_history(path: Path) -> list[Entry]:
    """Returns the entries of a file, oldest first; none if it does not exist. Raises `DataError` if it is damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the history `{path}` cannot be read: {error}") from error
    if not text:
        return []
    rows = csv.reader(io.StringIO(text))
    if next(rows) != _COLUMNS:
        raise DataError(
            f"the history `{path}` has other columns than this version writes", hint="move it away to start a new one"
        )
    entries = []
    for number, row in enumerate(rows, 2):
        try:
            entries.append(_entry(dict(zip(_COLUMNS, row, strict=True))))
        except ValueError as error:
            raise DataError(f"line {number} of the history `{path}` is damaged", hint="remove that line") from error
    return entries


def append_entry(path: Path, entry: Entry) -> None:
    """Appends an entry, in one write, after the heading if the file is new. Raises `DataError` if that fails."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    try:
        with open(path, "a", encoding="utf-8", newline="") as file:
            if file.tell() == 0:
                writer.writerow(_COLUMNS)
            writer.writerow("" if value is None else value for value in attrs.astuple(entry))
            file.write(text.getvalue())
    except OSError as error:
        raise DataError(f"the history `{path}` cannot be written: {error.strerror}") from error


def baseline(history: Sequence[Entry], *, machine: str, config: str) -> float | None:
    """Returns the median tokens a second of the last five ok entries of this machine and configuration, if any."""
    rates = [
        entry.tokens_per_second
        for entry in history
        if entry.status == _ACCEPTED
        and (entry.machine, entry.config) == (machine, config)
        and entry.tokens_per_second is not None
    ]
    return statistics.median(rates[-_COMPARED_WITH:]) if rates else None


def _entry(row: dict[str, str]) -> Entry:
    values = {
        name: (_NUMBERS[name](text) if text else None) if name in _NUMBERS else text for name, text in row.items()
    }
    return Entry(**values)  # type: ignore[arg-type]
