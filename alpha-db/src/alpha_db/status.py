"""What there is to say about a database."""

from pathlib import Path
from typing import Any

from alpha_core.errors import DatabaseError
from alpha_db.address import Address
from alpha_db.connection import connect
from alpha_db.database import Database, status_column
from alpha_db.folder import folders_in
from alpha_db.migrations import NEWEST, version_of
from alpha_db.outbox import outbox_of
from alpha_db.schema import TABLES

__all__ = ["status_of"]


def status_of(address: Address, runs: Path) -> dict[str, Any]:
    """Returns address, version, size, number of rows by table and of runs by status, and what waits in outboxes.

    A database of another version is described as far as it can be; nothing is migrated. Raises `DatabaseError` if it
    cannot be reached.
    """
    waiting = {files.run_id: _waiting_lines(outbox_of(files.path)) for files in folders_in(runs)}
    content: dict[str, Any] = {
        "database": str(address),
        "version": None,
        "size": None,
        "rows": {},
        "runs": {},
        "waiting": {run_id: lines for run_id, lines in waiting.items() if lines},
    }
    if address.path is not None and not address.path.exists():
        return content
    connection = connect(address)
    try:
        version = version_of(connection)
        if 0 < version < NEWEST:
            content["version"] = f"{version}, and this Alpha writes version {NEWEST}: run `alpha db migrate`"
            return content
        if version == 0:
            return content
        database = Database(connection)
        content |= {"version": version, "size": _size(database)}
        for table in TABLES:
            content["rows"][table] = database.read(f"SELECT count(*) FROM {table}")[0][0]
        by_status = database.read(f"SELECT {status_column('runs')}, count(*) FROM runs GROUP BY 1 ORDER BY 1")
        content["runs"] = {str(status): count for status, count in by_status}
    finally:
        connection.close()
    return content


def _size(database: Database) -> int | None:
    """Returns the size in bytes; None for a server that does not tell."""
    try:
        ((size,),) = database.read("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    except DatabaseError:
        return None
    return size if isinstance(size, int) else None


def _waiting_lines(outbox: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in outbox.glob("[0-9]*.jsonl"))
