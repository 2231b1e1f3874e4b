"""The database: opened, brought up to date, and written to in rows."""

from collections.abc import Iterable, Sequence
from itertools import islice

from alpha_core.errors import DatabaseError
from alpha_db.address import Address
from alpha_db.connection import Connection, Statement, Value, connect
from alpha_db.migrations import NEWEST, migrate, version_of
from alpha_db.row import NOW, Row, statements_of

__all__ = ["BATCH", "STALE_SECONDS", "Database", "is_silent", "status_column"]

BATCH = 500
"""Rows in one transaction."""
STALE_SECONDS = 180
"""A run without a sign of life for so long is stale."""


class Database:
    """A database of the newest version.

    ```python
    with Database.open(Address.of("file:runs/alpha.db")) as database:
        database.write([Row("runs", {"run_id": "20260101000000_abcd"})])
        print(database.read("SELECT run_id, status FROM runs"))
    ```
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @classmethod
    def open(cls, address: Address) -> "Database":
        """Opens a database; makes the tables of an empty one, and brings a file to the newest version.

        A server of an older version may have other clients that know only that, so it is refused: `alpha db migrate`
        is for a person to call. Raises `DatabaseError`, `DatabaseUnavailableError` if trying later may help.
        """
        connection = connect(address)
        try:
            version = version_of(connection)
            if version < NEWEST:
                if version > 0 and address.path is None:
                    raise DatabaseError(
                        f"the database `{address}` is of version {version}, and this Alpha writes version {NEWEST}",
                        hint="`alpha db migrate` brings it there; older versions of Alpha are refused afterwards",
                    )
                migrate(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    @property
    def address(self) -> Address:
        return self.connection.address

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        return self.connection.read(sql, values)

    def write(self, rows: Iterable[Row], *, heartbeat: bool = True) -> None:
        """Writes rows in their order, in transactions of `BATCH`; rows that are there already do no harm.

        With `heartbeat` the runs that are written to are alive now. After an error a first part may have been written.
        """
        remaining = iter(rows)
        while batch := list(islice(remaining, BATCH)):
            self.connection.write(statements_of(batch, heartbeat=heartbeat))

    def mark_stale(self) -> int:
        """Gives runs that have been silent for too long the status `stale`; returns how many there were."""
        sql = f"UPDATE runs SET status = 'stale' WHERE {is_silent('runs')}"
        return self.connection.write([Statement(sql)])[0]


def status_column(table: str) -> str:
    """Returns the SQL expression for how a run stands now, whether or not anybody has marked it as stale yet."""
    return f"CASE WHEN {is_silent(table)} THEN 'stale' ELSE {table}.status END"


def is_silent(table: str) -> str:
    """Returns the SQL condition that an active run has had no sign of life for too long, by the database's clock."""
    limit = NOW.replace("'now'", f"'now', '-{STALE_SECONDS} seconds'")
    return f"{table}.status = 'active' AND coalesce({table}.updated_at, {table}.created_at) < {limit}"
