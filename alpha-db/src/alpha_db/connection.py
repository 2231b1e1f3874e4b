"""Connections: SQL in, rows out, the same for a file and for a server."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

import attrs

from alpha_db.address import Address

__all__ = ["Connection", "Statement", "Value", "connect"]

Value: TypeAlias = int | float | str | None


@attrs.frozen
class Statement:
    """SQL with `?` for values, to be executed once for each item of `rows`."""

    sql: str
    rows: Sequence[Sequence[Value]] = ((),)


class Connection(ABC):
    """A connection that any thread may use, one at a time.

    Methods raise `DatabaseUnavailableError` for what may pass (no connection, no answer, a lock, a full disk), and
    `DatabaseError` for everything else. After the former a write may have happened or not, completely in both cases.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    @abstractmethod
    def read(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Returns the rows of a query."""

    @abstractmethod
    def write(self, statements: Sequence[Statement]) -> list[int]:
        """Executes all statements or none; returns how many rows each changed."""

    @abstractmethod
    def close(self) -> None:
        """Ends the connection; calling it twice does nothing."""


def connect(address: Address) -> Connection:
    """Returns a connection. A file and its folder are made if they are not there; a server is first asked in use."""
    if address.path is not None:
        from alpha_db.file_connection import FileConnection

        return FileConnection(address)
    from alpha_db.remote_connection import RemoteConnection

    return RemoteConnection(address)
