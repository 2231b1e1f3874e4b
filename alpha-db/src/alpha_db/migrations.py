"""The versions of the database, one function each: what it takes from the version before."""

from collections.abc import Callable, Mapping, Sequence

from alpha_core.errors import DatabaseError
from alpha_db import schema
from alpha_db.connection import Connection, Statement
from alpha_db.row import NOW

__all__ = ["MIGRATIONS", "NEWEST", "migrate", "version_of"]


def version_1() -> Sequence[str]:
    """Runs, metrics, checkpoints, domains, samples and events, and a summary of each run."""
    return [
        _table("runs", schema.RUNS),
        _table("metrics", schema.METRICS, key=True),
        _table("checkpoints", schema.CHECKPOINTS, key=True),
        _table("domains", schema.DOMAINS),
        _table("samples", schema.SAMPLES, key=True),
        _table("events", schema.EVENTS, key=True),
        "CREATE VIEW run_summary AS SELECT r.*,"
        " (SELECT count(*) FROM checkpoints c WHERE c.run_id = r.run_id) AS checkpoint_count,"
        " (SELECT max(step) FROM checkpoints c WHERE c.run_id = r.run_id) AS latest_checkpoint_step,"
        " (SELECT count(*) FROM metrics m WHERE m.run_id = r.run_id) AS metric_count FROM runs r",
    ]


def version_2() -> Sequence[str]:
    """Lineage: which runs a run came from, and how."""
    return _added("runs", schema.RUNS_2)


def version_3() -> Sequence[str]:
    """What was read of run folders; the whole configuration; metrics that have no column; an order of runs."""
    return [
        *_added("runs", schema.RUNS_3),
        *_added("metrics", schema.METRICS_3),
        _table("sync_state", schema.SYNC_STATE, key=True),
        "CREATE INDEX runs_by_time ON runs (created_at)",
    ]


MIGRATIONS: Sequence[Callable[[], Sequence[str]]] = (version_1, version_2, version_3)
NEWEST = len(MIGRATIONS)


def version_of(connection: Connection) -> int:
    """Returns the version of a database, 0 for an empty one."""
    tables = {name for (name,) in connection.read("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "schema_version" not in tables:
        foreign = next((name for name in schema.TABLES if name in tables), None)
        if foreign is not None:
            raise DatabaseError(
                f"the database `{connection.address}` is not Alpha's: it has a table `{foreign}`, but no version",
                hint="name another one",
            )
        return 0
    ((version,),) = connection.read("SELECT coalesce(max(version), 0) FROM schema_version")
    assert isinstance(version, int)
    if version > NEWEST:
        raise DatabaseError(
            f"the database `{connection.address}` is of version {version}, and this Alpha knows them up to {NEWEST}",
            hint="install a newer alpha-db",
        )
    return version


def migrate(connection: Connection, *, to: int = NEWEST) -> int:
    """Brings a database to a version; returns the version that it had.

    All steps are one transaction, and the first statement of each is refused if another process has taken that step
    already, so any number of processes may do this at once, and none sees a version in between.
    """
    before = version_of(connection)
    steps = range(before, to)
    try:
        statements = [Statement(sql) for step in steps for sql in (*_claim(step + 1), *MIGRATIONS[step]())]
        if statements:
            connection.write(statements)
    except DatabaseError:
        if version_of(connection) < to:
            raise
    return before


def _claim(version: int) -> Sequence[str]:
    return [
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)",
        f"INSERT INTO schema_version (version, applied_at) VALUES ({version}, {NOW})",
    ]


def _table(name: str, columns: Mapping[str, str], *, key: bool = False) -> str:
    """With `key` the table is stored in the order of its key, without row ids."""
    lines = [f"{column} {kind}" for column, kind in columns.items()]
    if key:
        lines.append(f"PRIMARY KEY ({', '.join(schema.KEYS[name])})")
    return f"CREATE TABLE {name} ({', '.join(lines)})" + (" WITHOUT ROWID" if key else "")


def _added(table: str, columns: Mapping[str, str]) -> list[str]:
    return [f"ALTER TABLE {table} ADD COLUMN {column} {kind}" for column, kind in columns.items()]
