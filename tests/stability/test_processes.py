"""`alpha train` as real processes: the lock, SIGUSR1, `--quiet` and `--json`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ALPHA = str(Path(sys.executable).with_name("alpha"))
TINY = [
    *("--data=text.txt", "--tokenizer=char", "--backend=cpu_ref", "--sample-interval=0"),
    *("--block=16", "--layers=1", "--dim=16", "--heads=2", "--batch=3", "--eval-iters=2", "--lr=1e-2"),
]
ENDLESS = [*TINY, "--iters=1000000", "--eval-interval=0"]

Alpha = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def alpha(tmp_path: Path, text: Path) -> Iterator[Alpha]:
    """Starts `alpha` in the folder of the text; what still runs at the end is killed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHA_")}
    environment = {**kept, "ALPHA_CACHE": str(tmp_path / "cache"), "OPENBLAS_NUM_THREADS": "1"}
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [ALPHA, *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    return output, errors


def the_run(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_training(tmp_path: Path) -> bool:
    return any(path.stat().st_size for path in (tmp_path / "runs").glob("*/metrics.jsonl"))


def test_a_second_trainer_is_refused_until_the_first_one_is_killed(alpha: Alpha, tmp_path: Path) -> None:
    first = alpha("train", *ENDLESS, "--checkpoint-interval=20", "--quiet")
    wait_until(lambda: is_training(tmp_path) and any(the_run(tmp_path).glob("checkpoint-*.alph")), first)
    folder = the_run(tmp_path)
    output, errors = finish(alpha("train", "--resume=last"), code=2)
    assert output == ""
    assert f"error: run `{folder.name}` is being trained by process {first.pid} on host `" in errors
    assert "hint: stop that one first" in errors

    first.kill()  # SIGKILL: nothing is cleaned up
    first.wait()
    step = max(int(path.stem.split("-")[1]) for path in folder.glob("checkpoint-*.alph"))
    output, _ = finish(alpha("train", "--resume=last", f"--iters={step + 5}", "--json", "--quiet"))
    assert json.loads(output)["step"] == step + 5
    assert not (folder / "trainer.json").exists()


@pytest.mark.parametrize("arguments", [[], ["--quiet"]])
def test_sigusr1_reports_and_training_goes_on(arguments: list[str], alpha: Alpha, tmp_path: Path) -> None:
    process = alpha("train", *ENDLESS, *arguments)
    wait_until(lambda: is_training(tmp_path), process)
    folder = the_run(tmp_path)
    process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "status_report" in (folder / "events.jsonl").read_text(), process)
    events = {json.loads(line)["kind"]: json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()}
    report = events["status_report"]
    step = report["step"]
    assert events["checkpoint_saved"]["step"] == events["eval_summary"]["step"] == step
    assert report["payload"]["valLoss"] == events["eval_summary"]["payload"]["valLoss"]
    assert (folder / f"checkpoint-{step}.alph").exists()

    seen = len((folder / "metrics.jsonl").read_text())
    wait_until(lambda: len((folder / "metrics.jsonl").read_text()) > seen, process)
    process.send_signal(signal.SIGTERM)
    output, errors = finish(process, code=143)
    assert report["message"] in (errors if arguments else output)
    assert report["message"].startswith(f"step {step} of 1000000: loss ")


def test_quiet_is_one_line_on_standard_error(alpha: Alpha, tmp_path: Path) -> None:
    output, errors = finish(alpha("train", *TINY, "--iters=6", "--quiet"))
    assert output == ""
    (line,) = errors.splitlines()
    assert line.startswith("completed at step 6, loss ")
    assert line.endswith(f"at step 6; the run is in runs/{the_run(tmp_path).name}")
    assert json.loads((the_run(tmp_path) / "config.json").read_text())["train"]["sinks"] == ["console", "jsonl"]


def test_json_is_all_of_standard_output(alpha: Alpha, tmp_path: Path) -> None:
    output, errors = finish(alpha("train", *TINY, "--iters=6", "--json"))
    summary = json.loads(output)
    assert output.count("\n") == 1
    folder = the_run(tmp_path)
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert summary == {
        "runId": folder.name,
        "folder": f"runs/{folder.name}",
        "status": "completed",
        "step": 6,
        "loss": last["loss"],
        "valLoss": last["valLoss"],
        "bestValLoss": last["valLoss"],
        "bestStep": 6,
        "skipped_steps": 0,
    }
    assert "step 6/6" in errors
    assert f"sample from it with: alpha sample {folder.name}" in errors


def test_a_stopped_run_is_summed_up_too(alpha: Alpha, tmp_path: Path) -> None:
    process = alpha("train", *ENDLESS, "--json", "--quiet")
    wait_until(lambda: is_training(tmp_path), process)
    process.send_signal(signal.SIGINT)
    output, errors = finish(process, code=130)
    assert json.loads(output)["status"] == "stopped"
    assert errors == ""


def test_a_failure_is_no_json(alpha: Alpha) -> None:
    output, errors = finish(alpha("train", *TINY, "--block=1000000", "--json", "--quiet"), code=4)
    assert output == ""
    assert errors.startswith("error: ")


def test_an_early_stop_says_how_to_train_on(alpha: Alpha, tmp_path: Path) -> None:
    settings = ["--iters=500", "--eval-interval=2", "--early-stop=2", "--lr=2", "--warmup=-1"]
    output, _ = finish(alpha("train", *TINY, *settings))
    assert "stopped early: 2 evaluations without a better loss; the best, " in output
    (command,) = [line for line in output.splitlines() if line.startswith("train on with: ")]
    assert command == f"train on with: alpha train --resume={the_run(tmp_path).name} --early-stop=0"
    resumed, _ = finish(alpha(*command.removeprefix("train on with: alpha ").split(), "--iters=30"))
    assert "completed at step 30" in resumed
