"""Migrations: from every earlier version to the newest, with what was in it; and what is refused."""

import multiprocessing
from pathlib import Path

import pytest
from tests.db.conftest import RUN, Sqld

from alpha_core.errors import DatabaseError
from alpha_db import schema
from alpha_db.address import Address
from alpha_db.connection import Connection, Statement, connect
from alpha_db.database import Database
from alpha_db.migrations import MIGRATIONS, NEWEST, migrate, version_of
from alpha_db.run_store import DatabaseRuns

CONTENT = [
    "INSERT INTO runs (run_id, created_at, status, latest_step) VALUES ('{run}', '2026-01-01T00:00:00Z', 'failed', 2)",
    "INSERT INTO metrics (run_id, step, loss, val_loss) VALUES ('{run}', 1, 3.5, NULL), ('{run}', 2, 3.0, 3.25)",
    "INSERT INTO checkpoints (run_id, step, filename) VALUES ('{run}', 2, 'checkpoint-2.alph')",
    "INSERT INTO samples (run_id, step, idx, prompt, output, created_at) VALUES ('{run}', 2, 0, 'a', 'b', 't')",
    "INSERT INTO events (run_id, step, kind, message, created_at) VALUES ('{run}', 2, 'note', 'text', 't')",
]


def columns_of(connection: Connection, table: str) -> dict[str, str]:
    return {
        str(name): str(kind) for name, kind in connection.read(f"SELECT name, type FROM pragma_table_info('{table}')")
    }


@pytest.mark.parametrize("version", range(NEWEST))
def test_every_earlier_version_becomes_the_newest_and_keeps_its_content(version: int, address: Address) -> None:
    connection = connect(address)
    migrate(connection, to=version)
    assert version_of(connection) == version
    if version:
        connection.write([Statement(sql.format(run=RUN)) for sql in CONTENT])
    assert migrate(connection) == version
    assert version_of(connection) == NEWEST
    for table, columns in schema.TABLES.items():
        assert columns_of(connection, table) == {name: kind.split()[0] for name, kind in columns.items()}
    if version:
        store = DatabaseRuns(Database(connection))
        assert store.metrics(RUN) == [{"step": 1, "loss": 3.5}, {"step": 2, "loss": 3.0, "valLoss": 3.25}]
        assert [run.status for run in store.runs()] == ["failed"]
        assert connection.read("SELECT metric_count, checkpoint_count, generation FROM run_summary") == [(2, 1, None)]
        assert len(store.events(RUN)) == len(store.checkpoints(RUN)) == 1
    connection.close()


def test_the_steps_are_noted_with_their_time(file_database: Database) -> None:
    rows = file_database.read("SELECT version, applied_at FROM schema_version ORDER BY version")
    assert [version for version, _ in rows] == list(range(1, len(MIGRATIONS) + 1))
    assert all(str(at).endswith("Z") for _, at in rows)


def test_migrating_again_changes_nothing(file_database: Database) -> None:
    before = file_database.read("SELECT name, sql FROM sqlite_master ORDER BY name")
    assert migrate(file_database.connection) == NEWEST
    assert file_database.read("SELECT name, sql FROM sqlite_master ORDER BY name") == before


def test_a_newer_database_is_refused_and_left_alone(address: Address) -> None:
    with Database.open(address) as database:
        database.connection.write([Statement(f"INSERT INTO schema_version VALUES ({NEWEST + 1}, 'later')")])
    with pytest.raises(
        DatabaseError, match=f"is of version {NEWEST + 1}, and this Alpha knows them up to {NEWEST}"
    ) as e:
        Database.open(address)
    assert e.value.hint == "install a newer alpha-db"


def test_the_database_of_something_else_is_refused(tmp_path: Path) -> None:
    address = Address.of(f"file:{tmp_path / 'other.db'}")
    connection = connect(address)
    connection.write([Statement("CREATE TABLE runs (distance)")])
    connection.close()
    with pytest.raises(DatabaseError, match="it has a table `runs`, but no version"):
        Database.open(address)


def test_an_older_server_waits_for_a_person(sqld: Sqld) -> None:
    address = Address.of(f"http://{sqld.host}")
    connection = connect(address)
    migrate(connection, to=1)
    with pytest.raises(DatabaseError, match="is of version 1, and this Alpha writes version") as refused:
        Database.open(address)
    assert "`alpha db migrate`" in (refused.value.hint or "")
    migrate(connection)
    Database.open(address).close()
    connection.close()


def _open(url: str, barrier: "multiprocessing.synchronize.Barrier") -> None:
    barrier.wait()
    Database.open(Address.of(url)).close()


def test_many_processes_may_make_the_tables_at_once(address: Address) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_open, args=(address.url, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    with Database.open(address) as database:
        assert version_of(database.connection) == NEWEST
