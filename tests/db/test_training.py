"""Real training processes that stream to a real server; either is killed and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.db.conftest import Sqld, clean_environment

from alpha_db.address import Address
from alpha_db.database import Database

ALPHA = str(Path(sys.executable).with_name("alpha"))
SETTINGS = (
    *("--data=text.txt", "--tokenizer=char", "--backend=cpu_ref", "--block=16", "--layers=1", "--dim=16", "--heads=2"),
    *("--batch=2", "--eval-interval=50", "--eval-iters=1", "--sample-interval=40", "--steps=4", "--quiet"),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question\n" * 100)
    return tmp_path


class Training:
    """A process that trains."""

    def __init__(self, home: Path, *flags: str, **environ: str) -> None:
        self._home = home
        self.process = subprocess.Popen(
            [ALPHA, "train", *SETTINGS, "--sinks=jsonl,db", *flags],
            cwd=home,
            env=clean_environment(ALPHA_CACHE=str(home / "cache"), **environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def folder(self) -> Path:
        (folder,) = (path.parent for path in (self._home / "runs").glob("*/config.json"))
        return folder

    def step(self) -> int:
        """The newest step in its log."""
        logs = list((self._home / "runs").glob("*/metrics.jsonl"))
        return logs[0].read_bytes().count(b"\n") if logs else 0

    def wait_for_step(self, step: int) -> None:
        deadline = time.monotonic() + 180
        while self.step() < step:
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def output(self) -> str:
        return self.process.communicate(timeout=180)[0]

    def logged(self) -> dict[str, list[Any]]:
        """What its own log says: each thing once, and of a step that was taken again the last."""
        lines = {
            log: [json.loads(line) for line in (self.folder / f"{log}.jsonl").read_text().splitlines()]
            for log in ("metrics", "events", "samples")
        }
        return {
            "metrics": sorted({row["step"]: row["loss"] for row in lines["metrics"]}.items()),
            "events": sorted((row["time"], row["step"], row["kind"], row["message"]) for row in lines["events"]),
            "samples": sorted((row["time"], row["step"], row["idx"], row["output"]) for row in lines["samples"]),
            "checkpoints": sorted({row["step"] for row in lines["events"] if row["kind"] == "checkpoint_saved"}),
        }


def stored(url: str) -> dict[str, list[Any]]:
    with Database.open(Address.of(url)) as database:
        return {
            "metrics": database.read("SELECT step, loss FROM metrics ORDER BY step"),
            "events": sorted(database.read("SELECT created_at, step, kind, message FROM events")),  # type: ignore[type-var]
            "samples": sorted(database.read("SELECT created_at, step, idx, output FROM samples")),  # type: ignore[type-var]
            "checkpoints": [step for (step,) in database.read("SELECT step FROM checkpoints ORDER BY step")],
        }


def without_sink_notices(content: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """What a sink says of an outage is an event too, and the last one may come after the sink was closed."""
    return {**content, "events": [event for event in content["events"] if not event[2].startswith("sink_")]}


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_server_that_is_killed_twice_during_training_has_everything_exactly_once(
    scheme: str, sqld: Sqld, home: Path
) -> None:
    url = f"{scheme}://{sqld.host}"
    training = Training(home, "--iters=900", TURSO_DATABASE_URL=url)
    for kill_at, start_at in ((100, 350), (500, 750)):
        training.wait_for_step(kill_at)
        sqld.kill()
        training.wait_for_step(start_at)
        sqld.start()
    output = training.output()
    assert training.process.returncode == 0, output
    assert without_sink_notices(stored(url)) == without_sink_notices(training.logged())
    assert len(stored(url)["metrics"]) == 900
    assert len(stored(url)["samples"]) >= 15
    assert "everything is kept in" in output
    with Database.open(Address.of(url)) as database:
        assert database.read("SELECT status, latest_step FROM runs") == [("completed", 900)]
    assert not (training.folder / "outbox").exists()


def test_a_trainer_that_is_killed_while_the_server_is_away_loses_nothing(stopped_sqld: Sqld, home: Path) -> None:
    url = f"http://{stopped_sqld.host}"
    training = Training(home, "--iters=100000", TURSO_DATABASE_URL=url)
    training.wait_for_step(120)
    os.kill(training.process.pid, signal.SIGKILL)
    training.output()
    stopped_sqld.start()
    alpha(home, "db", "sync", TURSO_DATABASE_URL=url)
    found, logged = stored(url), training.logged()
    # The two sinks write on threads of their own: one may be a moment ahead of the other.
    assert len(found["metrics"]) >= 120
    assert set(logged["metrics"]) == set(found["metrics"])
    assert set(logged["events"]) <= set(found["events"])
    assert found["checkpoints"] == logged["checkpoints"]
    assert not (training.folder / "outbox").exists()


def test_a_killed_and_resumed_run_is_one_run(sqld: Sqld, home: Path) -> None:
    url = f"ws://{sqld.host}"
    training = Training(home, "--iters=100000", TURSO_DATABASE_URL=url)
    training.wait_for_step(130)
    os.kill(training.process.pid, signal.SIGKILL)
    training.output()
    resumed = Training(home, "--resume=last", "--iters=200", TURSO_DATABASE_URL=url)
    output = resumed.output()
    assert resumed.process.returncode == 0, output
    assert [step for step, _ in stored(url)["metrics"]] == list(range(1, 201))
    assert stored(url)["metrics"] == resumed.logged()["metrics"]
    with Database.open(Address.of(url)) as database:
        assert database.read("SELECT status, latest_step FROM runs") == [("completed", 200)]


def test_two_runs_that_train_into_one_file_do_not_disturb_each_other(home: Path) -> None:
    trainings = [Training(home, "--iters=150", f"--tag={tag}") for tag in ("a", "b")]
    for training in trainings:
        output = training.output()
        assert training.process.returncode == 0, output
    with Database.open(Address.of(f"file:{home / 'runs' / 'alpha.db'}")) as database:
        counts = database.read("SELECT count(*) FROM metrics GROUP BY run_id")
        assert counts == [(150,), (150,)]
        assert database.read("SELECT DISTINCT status FROM runs") == [("completed",)]


def alpha(home: Path, *arguments: str, **environ: str) -> str:
    done = subprocess.run(
        [ALPHA, *arguments], cwd=home, env=clean_environment(**environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
