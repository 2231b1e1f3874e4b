"""The sink `db`: streaming into files and servers that come and go, and nothing lost or doubled."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.db.conftest import RUN, Sqld

from alpha_core.errors import UsageError
from alpha_core.observer import Event, RunInfo, Sample
from alpha_db.address import URL_VARIABLE, Address
from alpha_db.database import Database
from alpha_db.outbox import Outbox, OutboxInUseError, outbox_of
from alpha_db.row import Row
from alpha_db.sink import DbSink
from alpha_testkit import SinkConformance

CONFIG = {
    "domain": "chat",
    "model": {"n_layer": 2, "n_embd": 64, "activation": "gelu"},
    "train": {"iters": 100, "lr": 3e-4, "batch_size": 4, "tokenizer": "char"},
    "sample": {"steps": 3},
}


class TestDbSink(SinkConformance):
    sink_class = DbSink


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    return RunInfo(run_id=RUN, folder=folder, config=CONFIG, parameters=1000, iters=100, backend="cpu_ref (numpy)")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return []


def opened(run: RunInfo, told: list[str]) -> DbSink:
    sink = DbSink(run)
    sink.tell = told.append
    sink.on_start(run)
    return sink


def steps(sink: DbSink, first: int, last: int) -> None:
    for step in range(first, last + 1):
        sink.on_step({"step": step, "loss": 5.0 / step, "lr": 1e-3, "elapsed_ms": step * 10.0, "tokens_per_sec": 9e3})


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def content(address: Address) -> dict[str, list[tuple[object, ...]]]:
    with Database.open(address) as database:
        return {
            "steps": database.read("SELECT step FROM metrics ORDER BY step"),
            "events": database.read("SELECT step, kind FROM events ORDER BY step"),
            "samples": database.read("SELECT step, idx, output FROM samples ORDER BY step, idx"),
            "checkpoints": database.read("SELECT step, filename, file_size FROM checkpoints ORDER BY step"),
            "runs": database.read("SELECT run_id, status, latest_step FROM runs"),
        }


def test_a_run_is_in_the_database_beside_its_folder(run: RunInfo, told: list[str]) -> None:
    assert run.folder is not None
    checkpoint = run.folder / "checkpoint-5.alph"
    checkpoint.write_bytes(b"x" * 123)
    sink = opened(run, told)
    steps(sink, 1, 5)
    sink.on_event(Event(kind="checkpoint_saved", message="saved", step=5, payload={"path": str(checkpoint)}))
    sink.on_samples(5, [Sample(prompt="a", output="b"), Sample(prompt="c", output="d")])
    sink.on_finish({"status": "completed", "step": 5})
    sink.close()
    address = Address.of(f"file:{run.folder.parent / 'alpha.db'}")
    assert content(address) == {
        "steps": [(step,) for step in range(1, 6)],
        "events": [(5, "checkpoint_saved")],
        "samples": [(5, 0, "b"), (5, 1, "d")],
        "checkpoints": [(5, "checkpoint-5.alph", 123)],
        "runs": [(RUN, "completed", 5)],
    }
    with Database.open(address) as database:
        columns = "domain, n_layer, total_iters, tokenizer, backend, estimated_params, created_at, ffn_activation"
        assert database.read(f"SELECT {columns} FROM runs") == [
            ("chat", 2, 100, "char", "cpu_ref (numpy)", 1000, "2026-01-01T00:00:00.000Z", "gelu")
        ]
    assert not outbox_of(run.folder).exists()
    assert told == []


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_server_that_is_killed_twice_has_everything_once(
    scheme: str, sqld: Sqld, run: RunInfo, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, f"{scheme}://{sqld.host}")
    sink = opened(run, told)
    for outage in range(2):
        steps(sink, 1000 * outage + 1, 1000 * outage + 500)
        time.sleep(0.5)
        sqld.kill()
        steps(sink, 1000 * outage + 501, 1000 * outage + 1000)
        sink.on_event(Event(kind="note", message="while it was away", step=1000 * outage + 1000))
        wait_for(lambda n=outage: sum("kept in" in text for text in told) > n)  # type: ignore[misc]
        sqld.start()
        wait_for(lambda n=outage: sum("is there again" in text for text in told) > n)  # type: ignore[misc]
    sink.on_finish({"status": "completed", "step": 2000})
    sink.close()
    found = content(Address.of(f"http://{sqld.host}"))
    assert found["steps"] == [(step,) for step in range(1, 2001)]
    assert found["events"] == [(1000, "note"), (2000, "note")]
    assert found["runs"] == [(RUN, "completed", 2000)]
    assert run.folder is not None
    assert not outbox_of(run.folder).exists()
    assert len(told) == 4, told


def test_a_server_that_is_down_from_the_start_gets_everything_when_it_comes(
    stopped_sqld: Sqld, run: RunInfo, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, f"http://{stopped_sqld.host}")
    sink = opened(run, told)
    steps(sink, 1, 1200)
    wait_for(lambda: told)
    stopped_sqld.start()
    wait_for(lambda: len(told) > 1)
    sink.close()
    assert content(Address.of(f"http://{stopped_sqld.host}"))["steps"] == [(step,) for step in range(1, 1201)]


def test_what_a_server_never_took_stays_in_the_outbox_and_goes_with_the_resumed_run(
    stopped_sqld: Sqld, run: RunInfo, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, f"http://{stopped_sqld.host}")
    monkeypatch.setattr("alpha_db.sink._FINISH_SECONDS", 1.0)
    sink = opened(run, told)
    steps(sink, 1, 10)
    sink.close()
    assert run.folder is not None
    assert "`alpha db sync` delivers it" in told[-1]
    assert len(list(outbox_of(run.folder).glob("*.jsonl"))) == 1
    stopped_sqld.start()
    monkeypatch.undo()
    monkeypatch.setenv(URL_VARIABLE, f"http://{stopped_sqld.host}")
    again = opened(run, told)
    steps(again, 8, 12)
    again.close()
    assert content(Address.of(f"http://{stopped_sqld.host}"))["steps"] == [(step,) for step in range(1, 13)]


def test_a_locked_database_loses_nothing(run: RunInfo, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpha_db.file_connection._PATIENCE", 0.2)
    assert run.folder is not None
    path = run.folder.parent / "alpha.db"
    Database.open(Address.of(f"file:{path}")).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sink = opened(run, told)
    steps(sink, 1, 700)
    wait_for(lambda: told)
    assert "is locked by another process" in told[0]
    other.execute("ROLLBACK")
    other.close()
    wait_for(lambda: len(told) > 1)
    sink.close()
    assert content(Address.of(f"file:{path}"))["steps"] == [(step,) for step in range(1, 701)]


def test_two_processes_that_write_one_run_write_it_once(run: RunInfo, tmp_path: Path) -> None:
    rows = [Row("metrics", {"run_id": RUN, "step": step, "loss": 1.0}) for step in range(1, 2001)]
    address = Address.of(f"file:{tmp_path / 'alpha.db'}")

    def write() -> None:
        with Database.open(address) as database:
            database.write(rows)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert content(address)["steps"] == [(step,) for step in range(1, 2001)]


def test_a_clock_that_jumps_back_loses_and_doubles_nothing(
    run: RunInfo, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.folder is not None
    sink = opened(run, told)
    later = Event(kind="note", message="later", step=1, time="2026-01-02T00:00:00.000000+00:00")
    sink.on_event(later)
    steps(sink, 1, 2)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    sink.on_event(Event(kind="note", message="later", step=1, time="2026-01-01T00:00:00.000000+00:00"))
    steps(sink, 3, 4)
    sink.on_event(later)  # delivered twice
    sink.close()
    found = content(Address.of(f"file:{run.folder.parent / 'alpha.db'}"))
    assert len(found["events"]) == 2
    assert found["steps"] == [(1,), (2,), (3,), (4,)]


def test_a_full_disk_is_told_and_survived(run: RunInfo, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    sink = opened(run, told)
    append = sink._outbox.append

    def full(rows: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink._outbox, "append", full)
    steps(sink, 1, 3)
    monkeypatch.setattr(sink._outbox, "append", append)
    steps(sink, 4, 4)
    sink.close()
    assert [text for text in told if "No space left on device" in text] == told
    assert len(told) == 1
    assert run.folder is not None
    assert content(Address.of(f"file:{run.folder.parent / 'alpha.db'}"))["steps"] == [(1,), (2,), (3,), (4,)]


def test_an_outbox_belongs_to_one_process(tmp_path: Path) -> None:
    with Outbox(tmp_path / "outbox"), pytest.raises(OutboxInUseError):
        Outbox(tmp_path / "outbox")
    assert not (tmp_path / "outbox").exists()


def test_a_line_that_a_crash_cut_off_is_left_out(run: RunInfo, told: list[str]) -> None:
    assert run.folder is not None
    folder = outbox_of(run.folder)
    folder.mkdir()
    whole = Row("metrics", {"run_id": RUN, "step": 1, "loss": 1.0}).to_line()
    (folder / "00000007.jsonl").write_text(f"{whole}\n{whole[:20]}")
    sink = opened(run, told)
    steps(sink, 2, 2)
    sink.close()
    assert content(Address.of(f"file:{run.folder.parent / 'alpha.db'}"))["steps"] == [(1,), (2,)]


def test_signs_of_life_come_while_a_step_takes_long(
    run: RunInfo, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpha_db.delivery._HEARTBEAT_SECONDS", 0.2)
    assert run.folder is not None
    address = Address.of(f"file:{run.folder.parent / 'alpha.db'}")
    sink = opened(run, told)
    wait_for(lambda: address.path is not None and address.path.exists())
    with Database.open(address) as database:
        wait_for(lambda: database.read("SELECT 1 FROM runs"))
        before = database.read("SELECT updated_at FROM runs")
        wait_for(lambda: database.read("SELECT updated_at FROM runs") != before)
        assert database.read("SELECT status FROM runs") == [("active",)]
    sink.close()


def test_a_run_without_a_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a run folder"):
        DbSink(RunInfo(run_id=RUN, folder=None, config={}, parameters=1, iters=1))


def test_the_token_is_in_no_file(run: RunInfo, told: list[str], sqld: Sqld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, f"http://{sqld.host}")
    monkeypatch.setenv("TURSO_AUTH_TOKEN", "very-secret-token")
    sink = opened(run, told)
    steps(sink, 1, 3)
    time.sleep(1.5)
    sqld.kill()
    steps(sink, 4, 6)
    wait_for(lambda: told)
    assert run.folder is not None
    files = [path for path in run.folder.parents[1].rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"very-secret" in path.read_bytes()]
    assert "very-secret" not in json.dumps(told)
    sqld.start()
    sink.close()
