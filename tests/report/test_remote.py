"""The remote sink against a server that is killed and started again: every record arrives, and once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.report.fake_server import FakeServer, Received, Reply, wait_until
from tests.report.reporting import NOWHERE, Reporter, quick
from tests.server.ingest_server import SECRET, IngestServer, checkpoint

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_core.observer import Event, MetricSink, Observer, RunInfo, Sample
from alpha_report.delivery import Delivery
from alpha_report.leftovers import send_leftovers, waiting_runs
from alpha_report.remote_sink import RemoteSink
from alpha_report.settings import Settings
from alpha_report.waiting_files import WaitingFiles
from alpha_testkit import SinkConformance
from alpha_train import RunFolder, start_run


class TestRemote(SinkConformance):
    sink_class = RemoteSink

    def make_sink(self, run: RunInfo) -> MetricSink:
        return RemoteSink(run, quick(NOWHERE, patience=0.05))


class At(Observer):
    """Does something when a run comes to a step."""

    def __init__(self, actions: Mapping[int, Callable[[], object]]) -> None:
        self._actions = actions

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self._actions.get(metrics["step"], lambda: None)()


def assert_everything_arrived(server: IngestServer, folder: RunFolder, *, iters: int = 40) -> None:
    """The database has exactly what the files of the run have."""
    run_id = folder.run_id
    logged = [(row["step"], row["loss"]) for row in folder.read_metrics().rows]
    assert [step for step, _ in logged] == list(range(1, iters + 1))
    stored = server.rows("SELECT step, loss FROM metrics WHERE run_id = ? ORDER BY step", run_id)
    assert stored == logged
    happened = sorted((event["time"], event["step"], event["kind"], event["message"]) for event in folder.read_events())
    reported = server.rows(
        "SELECT created_at, step, kind, message FROM events WHERE run_id = ? AND kind != 'checkpoint_uploaded'"
        " ORDER BY created_at, step, kind, message",
        run_id,
    )
    assert reported == happened
    assert server.rows("SELECT step, file_size FROM checkpoints WHERE run_id = ? ORDER BY step", run_id) == [
        (step, folder.checkpoint_path(step).stat().st_size) for step in folder.checkpoint_steps()
    ]
    received = server.folder / run_id
    for step in folder.checkpoint_steps():
        assert (received / f"checkpoint-{step}.alph").read_bytes() == folder.checkpoint_path(step).read_bytes()
    assert (received / "config.json").read_bytes() == (folder.path / "config.json").read_bytes()
    assert (received / "tokenizer.json").read_bytes() == (folder.path / "tokenizer.json").read_bytes()
    samples = (folder.path / "samples.jsonl").read_text().count("\n")
    assert server.rows("SELECT count(*) FROM samples WHERE run_id = ?", run_id) == [(samples,)]
    uploaded = server.rows("SELECT step FROM events WHERE run_id = ? AND kind = 'checkpoint_uploaded'", run_id)
    assert sorted(step for (step,) in uploaded) == folder.checkpoint_steps()
    assert not (folder.path / "remote" / "outbox.jsonl").exists()
    assert WaitingFiles(folder.path / "remote").all() == []


def test_a_run_reaches_a_server_that_is_killed_and_started_twice(
    server: IngestServer, make_config: Callable[..., RunConfig], plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    monkeypatch.setenv("ALPHA_REMOTE_URL", server.url)
    notes: list[str] = []
    actions = {8: server.kill, 16: server.start, 24: server.kill, 36: server.start}
    finished = start_run(make_config(), plugins, observer=At(actions), note=notes.append)
    assert_everything_arrived(server, finished.folder)
    assert server.rows("SELECT status, latest_step FROM runs") == [("completed", 40)]
    assert not [note for note in notes if "did not reach" in note or "refuses" in note]


def test_a_run_without_a_server_trains_on_and_delivers_later(
    server: IngestServer, make_config: Callable[..., RunConfig], plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHA_REMOTE_URL", NOWHERE)
    monkeypatch.setattr("alpha_report.settings.Settings.from_environment", lambda: quick(NOWHERE))
    notes: list[str] = []
    began = time.monotonic()
    finished = start_run(make_config(keep=2), plugins, note=notes.append)
    assert time.monotonic() - began < 20
    waits = [note for note in notes if "records" in note]
    assert len(waits) == 2
    assert "takes nothing (Connection refused)" in waits[0]
    assert "did not reach `127.0.0.1:9`" in waits[1]
    assert "`alpha remote send` or a resumed run delivers them" in waits[1]
    server.start()
    told: list[str] = []
    runs = finished.folder.path.parent
    assert waiting_runs(runs) == [finished.folder.path]
    assert send_leftovers(finished.folder.path, seconds=60, tell=told.append, settings=quick(server.url))
    assert waiting_runs(runs) == []
    (line,) = told
    assert "records and 6 files are delivered" in line  # the configuration, the tokenizer and four checkpoints
    rows = server.rows("SELECT step FROM metrics ORDER BY step")
    assert rows == [(step,) for step in range(1, 41)]
    assert {path.name for path in (server.folder / finished.folder.run_id).glob("*.alph")} == {
        f"checkpoint-{step}.alph" for step in (10, 20, 30, 40)
    }
    assert finished.folder.checkpoint_steps() == [30, 40]


def alpha(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "alpha_cli", *arguments]


def test_a_killed_trainer_and_its_resumption_reach_the_server(
    server: IngestServer, make_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    flags = [
        *("--tokenizer=char", "--backend=cpu_ref", "--sinks=jsonl,remote", f"--data={tmp_path / 'text.txt'}"),
        *("--block=16", "--layers=1", "--dim=16", "--heads=2", "--batch=2", "--iters=100000", "--keep=100"),
        *("--eval-interval=10", "--eval-iters=1", "--sample-interval=10", "--quiet"),
    ]
    make_config()  # writes the text
    environ = {**os.environ, "ALPHA_REMOTE_URL": NOWHERE}
    with subprocess.Popen(alpha("train", *flags), env=environ, stderr=subprocess.PIPE, text=True) as trainer:
        assert trainer.stderr is not None
        wait_until(lambda: list(tmp_path.glob("runs/*/checkpoint-20.alph")) or trainer.poll() is not None, 120)
        assert trainer.poll() is None, trainer.stderr.read()
        trainer.kill()
    (folder,) = (path.parent for path in tmp_path.glob("runs/*/config.json"))
    before = RunFolder(folder)
    reached = before.read_metrics().rows[-1]["step"]
    server.start()
    environ["ALPHA_REMOTE_URL"] = server.url
    sent = subprocess.run(alpha("remote", "send"), env=environ, capture_output=True, text=True, check=True)
    assert "are delivered" in sent.stdout
    stored = [step for (step,) in server.rows("SELECT step FROM metrics ORDER BY step")]
    assert stored == list(range(1, len(stored) + 1))
    assert reached - 2 <= len(stored) <= reached + 2  # each sink has a thread, which was killed at its own place
    iters = (reached // 10 + 1) * 10
    resume = alpha("train", "--resume=last", f"--iters={iters}", "--quiet")
    subprocess.run(resume, env=environ, capture_output=True, text=True, check=True)
    rows = server.rows("SELECT step, loss FROM metrics ORDER BY step")
    assert rows == [(row["step"], row["loss"]) for row in before.read_metrics().rows]
    assert [step for step, _ in rows] == list(range(1, iters + 1))
    assert server.rows("SELECT status FROM runs") == [("completed",)]
    assert server.rows("SELECT count(*) FROM events WHERE kind = 'run_resumed'") == [(1,)]


def part_size(server: IngestServer) -> int:
    return max((path.stat().st_size for path in server.folder.glob("run/.*.part")), default=0)


def test_an_upload_goes_on_where_a_killed_server_left_it(server: IngestServer, tmp_path: Path) -> None:
    server.start()
    path = tmp_path / "checkpoint-7.alph"
    path.write_bytes(checkpoint(3_000_000))
    reporter = Reporter(tmp_path / "remote", quick(server.url, chunk_bytes=30_000, patience=30))
    reporter.files.add(path)
    reporter.delivery._wake.set()
    wait_until(lambda: part_size(server) > 300_000)
    server.kill()
    reached = part_size(server)
    assert reached < 3_000_000
    server.start()
    assert reporter.finish(60)
    assert (server.folder / "run" / path.name).read_bytes() == path.read_bytes()
    assert server.rows("SELECT step, file_size FROM checkpoints") == [(7, 3_000_000)]
    received = next(
        float(line.split()[-1])
        for line in server.request("GET", "/metrics").body.decode().splitlines()
        if line.startswith('alpha_ingest_received_bytes_total{route="files"}')
    )
    assert received <= 3_000_000 - reached + 30_000  # it did not begin anew


def test_an_upload_goes_on_where_a_killed_client_left_it(server: IngestServer, tmp_path: Path) -> None:
    server.start()
    folder = tmp_path / "runs" / "run"
    (folder / "remote").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    path = folder / "remote" / "checkpoint-7.alph"
    content = checkpoint(20_000_000)
    path.write_bytes(content)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from alpha_report.leftovers import send_leftovers\n"
        "from alpha_report.settings import Settings\n"
        "settings = Settings(url=sys.argv[1], secret=sys.argv[2], chunk_bytes=20_000)\n"
        "send_leftovers(Path(sys.argv[3]), seconds=600, tell=print, settings=settings)\n"
    )
    command = [sys.executable, "-c", code, server.url, SECRET, str(folder)]
    with subprocess.Popen(command) as client:
        wait_until(lambda: part_size(server) > 100_000 or client.poll() is not None)
        client.send_signal(signal.SIGKILL)
    assert 100_000 < part_size(server) < 20_000_000
    told: list[str] = []
    assert send_leftovers(folder, seconds=60, tell=told.append, settings=quick(server.url))
    assert (server.folder / "run" / path.name).read_bytes() == content
    assert not path.exists()


def test_while_the_database_fails_everything_waits(server: IngestServer, tmp_path: Path) -> None:
    (server.folder / "alpha.db").mkdir(parents=True)  # a folder where the file of the database should be
    server.start()
    reporter = Reporter(tmp_path / "remote", quick(server.url))
    for number in range(1, 31):
        reporter.step(number)
    wait_until(lambda: reporter.told)
    assert "takes nothing (status 503: the database is away)" in reporter.told[0]
    assert len(reporter.outbox) == 30
    (server.folder / "alpha.db").rmdir()
    wait_until(lambda: not len(reporter.outbox))
    assert reporter.finish()
    assert server.rows("SELECT count(*), count(DISTINCT step) FROM metrics") == [(30, 30)]


def test_a_wrong_secret_is_told_once_and_nothing_is_lost(server: IngestServer, tmp_path: Path) -> None:
    server.start()
    settings = Settings(url=server.url, secret="hunter2", first_pause=0.01, longest_pause=0.02, patience=0.5)
    reporter = Reporter(tmp_path / "remote", settings)
    for number in range(1, 31):
        reporter.step(number)
    assert not reporter.finish()
    assert len(reporter.told) == 2
    assert "takes nothing (it refuses `ALPHA_REMOTE_SECRET`)" in reporter.told[0]
    assert "30 records and 0 files did not reach" in reporter.told[1]
    assert "hunter2" not in "".join(reporter.told)
    again = Reporter(tmp_path / "remote", quick(server.url))
    assert again.finish()
    assert server.rows("SELECT count(*) FROM metrics") == [(30,)]


def test_a_record_that_the_server_refuses_takes_no_others_along(server: IngestServer, tmp_path: Path) -> None:
    reporter = Reporter(tmp_path / "remote", quick(NOWHERE, patience=0.05))
    for number in range(1, 31):
        reporter.step(number, **({"x" * 200: 1} if number in (11, 12) else {}))
    assert not reporter.finish()
    server.start()
    again = Reporter(tmp_path / "remote", quick(server.url))
    assert again.finish()
    stored = [step for (step,) in server.rows("SELECT step FROM metrics ORDER BY step")]
    assert stored == [step for step in range(1, 31) if step not in (11, 12)]
    (told,) = again.told
    assert "refuses a record `metrics`: status 400: message 0: `metrics` must hold objects" in told


def test_a_file_that_the_server_refuses_is_given_up_and_told(server: IngestServer, tmp_path: Path) -> None:
    server.start()
    good, bad = tmp_path / "checkpoint-8.alph", tmp_path / "checkpoint-7.alph"
    good.write_bytes(checkpoint())
    bad.write_bytes(b"no checkpoint")
    reporter = Reporter(tmp_path / "remote", quick(server.url))
    for path in (bad, good):
        reporter.files.add(path)
    assert reporter.finish()
    (told,) = reporter.told
    assert "`checkpoint-7.alph` cannot be uploaded" in told
    assert "does not begin with `ALPH`" in told
    assert server.rows("SELECT step, kind, level FROM events ORDER BY step") == [
        (7, "checkpoint_upload_failed", "warning"),
        (8, "checkpoint_uploaded", "info"),
    ]


def test_a_hanging_server_does_not_slow_a_step(run: RunInfo) -> None:
    release = threading.Event()

    def hang(request: Received) -> Reply:
        release.wait(30)
        return Reply()

    with FakeServer(hang) as server:
        sink = RemoteSink(run, quick(server.url, timeout=1.0, patience=0.1))
        sink.on_start(run)
        began = time.perf_counter()
        for number in range(1, 501):
            sink.on_step({"step": number, "loss": 1.0})
        assert time.perf_counter() - began < 10  # though every request takes a second to fail
        sink.close()
        release.set()


def test_what_the_sink_says_of_a_run(run: RunInfo, server: IngestServer) -> None:
    server.start()
    sink = RemoteSink(run, quick(server.url))
    sink.on_start(run)
    sink.on_step({"step": 1, "loss": float("nan"), "gradNorm": 1.0})
    sink.on_event(Event(kind="note", message="a", step=1, payload={"b": float("inf")}))
    sink.on_samples(1, [Sample(prompt="p", output="o")])
    sink.on_finish({"status": "failed", "step": 1, "error": "no space"})
    sink.close()
    columns = "status, error, domain, n_layer, estimated_params, backend, folder, total_iters"
    assert server.rows(f"SELECT {columns} FROM runs") == [
        ("failed", "no space", "novels", 2, 1234, "cpu_ref (numpy)", str(run.folder), 40)
    ]
    assert server.rows("SELECT step, loss, grad_norm FROM metrics") == [(1, None, 1.0)]
    assert server.rows("SELECT kind, payload_json FROM events") == [("note", '{"b":null}')]


def test_without_upload_only_records_are_sent(run: RunInfo, server: IngestServer) -> None:
    server.start()
    assert run.folder is not None
    (run.folder / "config.json").write_text("{}")
    sink = RemoteSink(run, quick(server.url, upload=False))
    sink.on_start(run)
    sink.on_event(Event(kind="checkpoint_saved", message="", step=4, payload={"path": "x/config.json"}))
    sink.close()
    assert not (server.folder / run.run_id).exists()
    assert server.rows("SELECT step, filename, file_size FROM checkpoints") == [(4, "checkpoint-4.alph", None)]


def test_an_error_in_the_thread_of_delivery_reaches_the_sink(run: RunInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Delivery) -> float:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(Delivery, "_pause", broken)
    sink = RemoteSink(run, quick(NOWHERE))
    wait_until(lambda: not sink._delivery._thread.is_alive())
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        sink.on_start(run)
    sink.close()
