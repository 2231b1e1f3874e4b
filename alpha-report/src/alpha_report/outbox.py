"""What waits to be delivered, kept on disk so that neither a server that is away nor a crash loses it."""

import errno
import heapq
import json
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
from filelock import FileLock, Timeout

from alpha_core.errors import UsageError
from alpha_core.json_value import json_value

__all__ = ["Outbox", "Record"]

_METRICS = "metrics"
_LINES_BEFORE_REWRITE = 20_000  # some megabytes
_RETRY_SECONDS = 1.0


@attrs.frozen
class Record:
    """One thing to deliver."""

    number: int
    """Ascending in the order in which records came."""
    content: Mapping[str, Any]
    """Has a `type`."""


class Outbox:
    """A queue in a folder: `outbox.jsonl`, with a line for each record and for each confirmation.

    It survives the death of its process at any point; a record may then come out twice, but is never lost. It holds
    `capacity` records: beyond that the oldest metrics make way, then the oldest of all, and are counted in `lost`. For
    any number of threads of one process; a second process is refused with `UsageError`.
    """

    def __init__(self, folder: Path, *, capacity: int = 5000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.lost = 0
        self.problem: str | None = None
        """Why the latest record could not be written; it waits in memory alone."""
        self._failed_at = 0.0
        self._path = folder / "outbox.jsonl"
        self._capacity = capacity
        self._mutex = threading.Lock()
        self._metrics: deque[Record] = deque()
        self._others: deque[Record] = deque()
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"another process delivers what is in `{folder}`") from None
        self._number = self._read()
        self._file = self._rewrite()

    def __len__(self) -> int:
        return len(self._metrics) + len(self._others)

    def add(self, content: Mapping[str, Any]) -> None:
        """Puts a record on disk and at the end of the queue."""
        with self._mutex:
            self._number += 1
            record = Record(self._number, json_value(content))
            self._queue_of(record).append(record)
            self._write(_line(record))
            if len(self) > self._capacity:
                (self._metrics or self._others).popleft()
                self.lost += 1

    def first(self, limit: int) -> list[Record]:
        """Returns the oldest records, which stay in the queue."""
        with self._mutex:
            both = heapq.merge(self._metrics, self._others, key=lambda record: record.number)
            return list(islice(both, limit))

    def has_urgent(self) -> bool:
        """Tells whether anything but metrics waits."""
        return bool(self._others)

    def confirm(self, records: Sequence[Record]) -> None:
        """Takes out the oldest records, up to the last one given: they were delivered, or never can be."""
        if not records:
            return
        last = records[-1].number
        with self._mutex:
            for queue in (self._metrics, self._others):
                while queue and queue[0].number <= last:
                    queue.popleft()
            if len(self):
                self._write(b'{"delivered":%d}\n' % last)
            else:
                self._file.truncate(0)
                self._lines, self.problem = 0, None

    def close(self) -> None:
        """Closes the files; what waits stays there. An empty outbox leaves no file."""
        with self._mutex:
            self._file.close()
            if not len(self):
                self._path.unlink(missing_ok=True)
        self._lock.release()

    def _queue_of(self, record: Record) -> deque[Record]:
        return self._metrics if record.content["type"] == _METRICS else self._others

    def _write(self, line: bytes) -> None:
        """Appends a line; after a failure writes everything anew, but not more often than once a second."""
        if self.problem is not None and time.monotonic() < self._failed_at + _RETRY_SECONDS:
            return
        try:
            if self.problem is not None or self._lines > max(_LINES_BEFORE_REWRITE, 2 * self._capacity):
                file = self._rewrite()
                self._file.close()
                self._file = file
            else:
                if self._file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._lines += 1
        except OSError as error:
            self.problem, self._failed_at = error.strerror or str(error), time.monotonic()
        else:
            self.problem = None

    def _read(self) -> int:
        """Reads what an earlier process left, but for lines that a crash cut off, and returns the highest number."""
        last, delivered = 0, 0
        records = []
        with suppress(FileNotFoundError), open(self._path, "rb") as file:
            for line in file:
                try:
                    value = json.loads(line)
                    if "delivered" in value:
                        delivered = max(delivered, int(value["delivered"]))
                        continue
                    record = Record(int(value["number"]), dict(value["content"]))
                    self._queue_of(record)
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
                last = max(last, record.number)
                records.append(record)
        waiting = [record for record in records if record.number > delivered]
        for record in waiting[-self._capacity :]:
            self._queue_of(record).append(record)
        self.lost += max(0, len(waiting) - self._capacity)
        return max(last, delivered)

    def _rewrite(self) -> FileIO:
        """Writes the queue to a new file, which takes the place of the old one, and returns it to append to."""
        both = list(heapq.merge(self._metrics, self._others, key=lambda record: record.number))
        part = self._path.with_suffix(".part")
        try:
            with open(part, "wb") as file:
                file.writelines(map(_line, both))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            part.unlink(missing_ok=True)
            raise
        part.replace(self._path)
        self._lines = len(both)
        return open(self._path, "ab", buffering=0)


def _line(record: Record) -> bytes:
    content = {"number": record.number, "content": record.content}
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
