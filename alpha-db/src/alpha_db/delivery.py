"""Delivery: brings what waits in an outbox to the database, now or when the database is there again."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from alpha_core.errors import DatabaseError, DatabaseUnavailableError
from alpha_db.address import Address
from alpha_db.database import BATCH, Database
from alpha_db.outbox import Outbox, rows_in
from alpha_db.row import Row

__all__ = ["Delivered", "Delivery", "deliver"]

_FLUSH_SECONDS = 1.0
_HEARTBEAT_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0  # seconds between attempts; each pause is twice the one before


@attrs.define
class Delivered:
    """How much was delivered."""

    rows: int = 0
    skipped: int = 0
    """Lines that could not be read."""


def deliver(outbox: Outbox, database: Database, *, heartbeat: bool = True) -> Delivered:
    """Writes everything that waits, in its order, and removes it. Raises `DatabaseError`; then the rest still waits."""
    result = Delivered()
    for segment in outbox.waiting():
        _deliver_segment(segment, database, result, heartbeat=heartbeat)
    return result


def _deliver_segment(segment: Path, database: Database, result: Delivered, *, heartbeat: bool) -> None:
    batch: list[Row] = []
    for row in rows_in(segment):
        if row is None:
            result.skipped += 1
            continue
        batch.append(row)
        if len(batch) == BATCH:
            database.write(batch, heartbeat=heartbeat)
            result.rows += len(batch)
            batch = []
    database.write(batch, heartbeat=heartbeat)
    result.rows += len(batch)
    segment.unlink()


class Delivery:
    """A thread that delivers an outbox while a run trains, and gives signs of life of the run.

    A database that is away, locked, of another version or that refuses is told of once, and tried again after a pause
    that doubles from a quarter of a second to half a minute; `tell` takes such sentences, from this thread.
    """

    def __init__(self, outbox: Outbox, address: Address, run_id: str, tell: Callable[[str], None]) -> None:
        self._outbox, self._address, self._run_id, self._tell = outbox, address, run_id, tell
        self._database: Database | None = None
        self._wake, self._finishing = threading.Event(), threading.Event()
        self._deadline = float("inf")  # on the monotonic clock, once it is finishing
        self._heard_at = time.monotonic()
        self._failures = 0
        self._is_done = False
        self._thread = threading.Thread(target=self._work, name="alpha-db delivery", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Delivers now instead of at the end of the second."""
        self._wake.set()

    def finish(self, seconds: float) -> bool:
        """Delivers the rest, for so many seconds at most; tells whether everything was delivered."""
        self._deadline = time.monotonic() + seconds
        self._finishing.set()
        self._wake.set()
        self._thread.join(seconds)
        return self._is_done

    def _work(self) -> None:
        while True:
            finishing = self._finishing.is_set()
            delivered = self._attempt()
            if finishing and (delivered or time.monotonic() >= self._deadline):
                self._is_done = delivered
                break
            self._wake.wait(self._pause())
            self._wake.clear()
        if self._database is not None:
            self._database.close()

    def _pause(self) -> float:
        if self._failures == 0:
            return _FLUSH_SECONDS
        pause = min(_FIRST_PAUSE * 2.0 ** (self._failures - 1), _LONGEST_PAUSE) * random.uniform(0.75, 1.0)
        if not self._finishing.is_set():
            # Rows that come in the meantime do not wake it: a server that is away should not be asked for each.
            self._finishing.wait(pause)
            return 0.0
        return max(0.0, min(pause, 1.0, self._deadline - time.monotonic()))

    def _attempt(self) -> bool:
        """Delivers what waits; tells whether that worked."""
        try:
            if self._database is None:
                self._database = Database.open(self._address)
            found = deliver(self._outbox, self._database)
            if found.rows:
                self._heard_at = time.monotonic()
            elif time.monotonic() - self._heard_at >= _HEARTBEAT_SECONDS:
                self._database.write([Row("runs", {"run_id": self._run_id, "status": "active"})])
                self._heard_at = time.monotonic()
        except (DatabaseError, OSError) as error:
            self._note_failure(error)
            return False
        if self._failures:
            self._failures = 0
            self._tell(f"the database `{self._address}` is there again, and has what waited")
        return True

    def _note_failure(self, error: DatabaseError | OSError) -> None:
        if self._failures == 0:
            hint = f" ({error.hint})" if isinstance(error, DatabaseError) and error.hint else ""
            reason = error.message if isinstance(error, DatabaseError) else str(error)
            self._tell(f"{reason}{hint}; everything is kept in `{self._outbox.path}` and delivered later")
        self._failures += 1
        if not isinstance(error, DatabaseUnavailableError) and self._database is not None:
            self._database.close()
            self._database = None
