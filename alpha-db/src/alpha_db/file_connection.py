"""A database in a file, through Python's own `sqlite3` (see `docs/decisions/0039-files-through-sqlite3.md`)."""

import sqlite3
import threading
from collections.abc import Sequence

from alpha_core.errors import DatabaseError, DatabaseUnavailableError
from alpha_db.address import Address
from alpha_db.connection import Connection, Statement, Value

__all__ = ["FileConnection"]

_PATIENCE = 5.0  # seconds that a lock of another process is waited for
_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PROTOCOL", "SQLITE_CANTOPEN")
"""Beginnings of the names of errors that may be gone later."""


class FileConnection(Connection):
    """One connection of SQLite. The file has a write-ahead log: readers and a writer do not wait for each other."""

    def __init__(self, address: Address, *, patience: float = _PATIENCE) -> None:
        super().__init__(address)
        assert address.path is not None
        self._lock = threading.Lock()
        try:
            address.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                address.path, isolation_level=None, timeout=patience, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise _mapped(error, address) from error
        try:
            self._connection.execute("PRAGMA journal_mode=WAL").fetchall()
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA secure_delete=ON")  # what was forgotten is overwritten
        except sqlite3.Error as error:
            self._connection.close()
            raise _mapped(error, address) from error

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        with self._lock:
            try:
                return self._connection.execute(sql, tuple(values)).fetchall()
            except sqlite3.Error as error:
                raise _mapped(error, self.address) from error

    def write(self, statements: Sequence[Statement]) -> list[int]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                counts = [self._connection.executemany(each.sql, each.rows).rowcount for each in statements]
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise _mapped(error, self.address) from error
            except BaseException:
                self._roll_back()
                raise
            return counts

    def erase_traces(self) -> None:
        """Empties the write-ahead log, which may hold old content of rows that were deleted."""
        self.read("PRAGMA wal_checkpoint(TRUNCATE)")

    def give_back_space(self) -> None:
        """Makes the file as small as its content. Needs as much space again for a moment."""
        self.read("VACUUM")
        self.erase_traces()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _mapped(error: Exception, address: Address) -> DatabaseError:
    """Returns the error of Alpha for one of SQLite or of the file system."""
    if isinstance(error, OSError):
        return DatabaseUnavailableError(f"the database `{address}` cannot be opened: {error.strerror}")
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseUnavailableError(f"the database `{address}` is locked by another process")
    if name.startswith(_PASSING):
        return DatabaseUnavailableError(f"the database `{address}` cannot be used: {error}")
    if name.startswith("SQLITE_NOTADB"):
        return DatabaseError(f"`{address.path}` is no database")
    return DatabaseError(f"the database `{address}` refuses: {error}")
