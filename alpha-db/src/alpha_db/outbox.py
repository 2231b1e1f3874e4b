"""The outbox of a run: rows that wait on the disk until a database has them."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout

from alpha_core.errors import DataError, UsageError
from alpha_db.row import Row

__all__ = ["Outbox", "OutboxInUseError", "outbox_of", "rows_in"]

_LOCK = ".lock"


class OutboxInUseError(UsageError):
    """Another process delivers what is in an outbox."""


def outbox_of(folder: Path) -> Path:
    """Returns where the outbox of a run folder is."""
    return folder / "outbox"


class Outbox:
    """A folder of numbered segments, one row a line.

    Rows are appended to the newest segment, and flushed, so they outlive the process. `waiting` begins a new one and
    gives out the others; whoever delivered one removes it. A crash in between has it delivered again, which changes
    nothing. One process has an outbox at a time; the lock ends with the process. Any thread may call its methods.
    """

    def __init__(self, path: Path) -> None:
        """Takes an outbox; the folder is made. Raises `OutboxInUseError`, and `UsageError` if it cannot be written."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._process_lock = FileLock(path / _LOCK)
            self._process_lock.acquire(timeout=0)
        except Timeout as error:
            raise OutboxInUseError(f"another process delivers what is in `{path}`") from error
        except OSError as error:
            raise UsageError(f"the outbox `{path}` cannot be written: {error.strerror}") from error
        self._lock = threading.Lock()
        self._number = max(map(_number, _segments(path)), default=0)
        self._file: TextIO | None = None

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, rows: Iterable[Row]) -> None:
        """Adds rows. Raises `OSError`; some may have been added then, and adding all of them again does no harm."""
        text = "".join(f"{row.to_line()}\n" for row in rows)
        with self._lock:
            try:
                if self._file is None:
                    self._number += 1
                    segment = self.path / f"{self._number:08}.jsonl"
                    self._file = open(segment, "x", encoding="utf-8", newline="\n")  # noqa: SIM115 (kept open)
                self._file.write(text)
                self._file.flush()
            except OSError:
                self._close_segment()  # it may end within a line
                raise

    def waiting(self) -> list[Path]:
        """Returns the segments with rows that wait, the oldest first; what is appended later comes into another one."""
        with self._lock:
            self._close_segment()
            return _segments(self.path)

    def close(self) -> None:
        """Lets go of the outbox, and removes its folder if nothing waits in it."""
        empty = not self.waiting()
        self._process_lock.release()
        if empty:
            with suppress(OSError):  # someone else has begun to use it
                (self.path / _LOCK).unlink(missing_ok=True)
                self.path.rmdir()

    def _close_segment(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what it could not write was reported when it was written
                file.close()


def rows_in(segment: Path) -> Iterator[Row | None]:
    """Yields the rows of a segment, None for a line that cannot be read, such as one that a crash cut off."""
    with open(segment, "rb") as file:
        for line in file:
            try:
                yield Row.from_line(line)
            except DataError:
                yield None


def _segments(path: Path) -> list[Path]:
    return sorted(path.glob("[0-9]*.jsonl"), key=_number)


def _number(segment: Path) -> int:
    return int(segment.stem) if segment.stem.isdecimal() else 0
