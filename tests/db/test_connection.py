"""Connections: the same behaviour for files and for servers, over both transports."""

import os
import sqlite3
import time
from pathlib import Path

import libsql_client
import pytest
from tests.db.conftest import Sqld

from alpha_core.errors import DatabaseError, DatabaseUnavailableError
from alpha_db.address import Address
from alpha_db.connection import Connection, Statement, connect
from alpha_db.file_connection import FileConnection
from alpha_db.remote_connection import RemoteConnection


@pytest.fixture
def connection(address: Address) -> Connection:
    made = connect(address)
    made.write([Statement("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")])
    yield made  # type: ignore[misc]
    made.close()


def test_values_come_back_as_they_were(connection: Connection) -> None:
    values = [
        None,
        0,
        -(2**63),
        2**63 - 1,
        0.1,
        -0.0,
        1e308,
        "",
        "text",
        "你好 \U0001f469‍\U0001f4bb\n'\"",
        "nul \0 nul",
    ]
    connection.write([Statement("INSERT INTO t VALUES (?, ?)", list(enumerate(values)))])
    found = [value for (value,) in connection.read("SELECT b FROM t ORDER BY a")]
    assert [(type(value), value) for value in found] == [(type(value), value) for value in values]


def test_a_write_counts_the_rows_that_it_changed(connection: Connection) -> None:
    counts = connection.write(
        [
            Statement("INSERT INTO t VALUES (?, 0)", [(i,) for i in range(5)]),
            Statement("INSERT OR IGNORE INTO t VALUES (?, 0)", [(4,), (5,)]),
            Statement("DELETE FROM t WHERE a < ?", [(3,)]),
        ]
    )
    assert counts == [5, 1, 3]


def test_a_write_happens_completely_or_not_at_all(connection: Connection) -> None:
    with pytest.raises(DatabaseError) as refused:
        connection.write([Statement("INSERT INTO t VALUES (1, 1)"), Statement("INSERT INTO nowhere VALUES (1)")])
    assert not isinstance(refused.value, DatabaseUnavailableError)
    assert "nowhere" in refused.value.message
    connection.write([Statement("INSERT INTO t VALUES (1, 2)")])
    assert connection.read("SELECT * FROM t") == [(1, 2)]


def test_a_closed_connection_stays_closed(address: Address) -> None:
    connection = connect(address)
    connection.close()
    connection.close()
    with pytest.raises(DatabaseError):
        connection.read("SELECT 1")


def test_a_file_is_what_libsql_client_reads_and_writes(tmp_path: Path) -> None:
    connection = connect(Address.of(f"file:{tmp_path / 'a b.db'}"))
    connection.write([Statement("CREATE TABLE t (a)"), Statement("INSERT INTO t VALUES (1)")])
    with libsql_client.create_client_sync(f"file:{tmp_path / 'a b.db'}") as client:
        client.execute("INSERT INTO t VALUES (2)")
        assert [row[0] for row in client.execute("SELECT a FROM t").rows] == [1, 2]
    assert connection.read("SELECT a FROM t") == [(1,), (2,)]
    connection.close()


def test_a_locked_file_is_waited_for_and_then_unavailable(tmp_path: Path) -> None:
    address = Address.of(f"file:{tmp_path / 'alpha.db'}")
    connection = FileConnection(address, patience=0.3)
    connection.write([Statement("CREATE TABLE t (a)")])
    other = sqlite3.connect(tmp_path / "alpha.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailableError, match="is locked by another process"):
        connection.write([Statement("INSERT INTO t VALUES (1)")])
    assert 0.2 < time.monotonic() - began < 5
    other.execute("COMMIT")
    other.close()
    connection.write([Statement("INSERT INTO t VALUES (1)")])
    assert connection.read("SELECT a FROM t") == [(1,)]
    connection.close()


def test_what_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "alpha.db").write_bytes(b"this is no database at all, but long enough to look at" * 20)
    with pytest.raises(DatabaseError, match="is no database") as refused:
        connect(Address.of(f"file:{tmp_path / 'alpha.db'}"))
    assert not isinstance(refused.value, DatabaseUnavailableError)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailableError, match="cannot be opened"):
        connect(Address.of(f"file:{tmp_path / 'file' / 'alpha.db'}"))


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_server_that_was_away_is_used_again(scheme: str, sqld: Sqld) -> None:
    connection = connect(Address.of(f"{scheme}://{sqld.host}"))
    connection.write([Statement("CREATE TABLE t (a)"), Statement("INSERT INTO t VALUES (1)")])
    for _ in range(2):
        sqld.kill()
        for _ in range(3):
            with pytest.raises(DatabaseUnavailableError):
                connection.write([Statement("INSERT INTO t VALUES (2)")])
        sqld.start()
        assert connection.read("SELECT a FROM t") == [(1,)]
    connection.close()


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(scheme: str, sqld: Sqld) -> None:
    connection = RemoteConnection(Address.of(f"{scheme}://{sqld.host}"), patience=3)
    assert connection.read("SELECT 1") == [(1,)]
    sqld.pause()
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailableError, match=r"did not answer within 3 s"):
        connection.read("SELECT 1")
    assert time.monotonic() - began < 60
    sqld.go_on()
    assert connection.read("SELECT 2") == [(2,)]
    connection.close()


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_server_that_is_not_there_is_unavailable(scheme: str, stopped_sqld: Sqld) -> None:
    connection = connect(Address.of(f"{scheme}://{stopped_sqld.host}"))
    with pytest.raises(DatabaseUnavailableError, match="cannot be reached"):
        connection.read("SELECT 1")
    connection.close()


def test_nothing_of_the_client_is_heard_on_standard_error(
    sqld: Sqld, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for scheme in ("http", "ws"):
        connection = connect(Address.of(f"{scheme}://{sqld.host}"))
        connection.read("SELECT 1")
        sqld.kill()
        with pytest.raises(DatabaseUnavailableError):
            connection.read("SELECT 1")
        connection.close()
        sqld.start()
    assert capfd.readouterr().err == ""
    assert caplog.records == []


def test_closing_leaves_no_thread_and_no_socket_behind(sqld: Sqld) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for scheme in ("http", "ws", "http", "ws"):
        connection = connect(Address.of(f"{scheme}://{sqld.host}"))
        connection.read("SELECT 1")
        connection.close()
    assert len(os.listdir("/proc/self/fd")) <= len(before) + 1
