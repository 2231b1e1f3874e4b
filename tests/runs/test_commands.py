"""`alpha runs` as a person runs it: real processes, real runs, wrong input."""

import json
import os
import re
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runs.conftest import ALPHA, ENVIRONMENT, Alpha

from alpha_train.run_folder import RunFolder

FolderOf = Callable[[str], RunFolder]


def test_list_shows_runs_in_their_order(alpha: Alpha, folder_of: FolderOf) -> None:
    listed = alpha("runs", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    header, done, half = (re.split(r"  +", line) for line in listed.stdout.splitlines())
    assert header == ["run", "status", "domain", "params", "step", "loss", "best valLoss", "age"]
    assert done[:2] == [folder_of("done").run_id, "completed"]
    assert half[:2] == [folder_of("half").run_id, "stopped"]
    assert half[4] == "5/12"


def test_list_as_json_has_every_figure(alpha: Alpha, folder_of: FolderOf) -> None:
    done, half = json.loads(alpha("runs", "list", "--json").stdout)
    assert done["runId"] == folder_of("done").run_id
    assert (done["status"], done["step"], done["iters"]) == ("completed", 12, 12)
    assert done["bestValLoss"] == folder_of("done").read_best().val_loss  # type: ignore[union-attr]
    assert done["parameters"] == half["parameters"] > 1000
    assert done["created"].endswith("+00:00")


def test_an_empty_folder_is_no_error(alpha: Alpha) -> None:
    nothing = alpha("runs", "list", "--runs-dir=nothing")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "note: `nothing` holds no runs; start one with `alpha train`\n"
    assert json.loads(alpha("runs", "list", "--runs-dir=nothing", "--json").stdout) == []


def test_a_damaged_run_does_not_hide_the_others(alpha: Alpha, folder_of: FolderOf) -> None:
    (folder_of("half").path / "config.json").write_text("{")
    listed = alpha("runs", "list")
    assert listed.returncode == 0
    assert "completed" in listed.stdout
    assert "unreadable" in listed.stdout
    assert "is damaged" in listed.stderr
    refused = alpha("runs", "plot", "half")
    assert refused.returncode == 4
    assert "cannot be read" in refused.stderr


def test_show_tells_what_was_set_what_happened_and_what_is_kept(alpha: Alpha, folder_of: FolderOf) -> None:
    shown = alpha("runs", "show", "half")
    assert shown.returncode == 0, shown.stderr
    assert f"run {folder_of('half').run_id}: stopped" in shown.stdout
    assert re.search(r"activation +silu  \(default gelu\)", shown.stdout)
    assert re.search(r"tag +half  \(default none\)", shown.stdout)
    assert re.search(r"step 4 +\S+ KiB", shown.stdout)
    assert "validation loss" in shown.stdout
    as_json = json.loads(alpha("runs", "show", "half", "--json").stdout)
    assert as_json["config"]["model"]["activation"] == "silu"
    assert "activation" in as_json["changed"]
    assert as_json["checkpoints"] == folder_of("half").checkpoint_steps()


def test_the_last_run_is_the_default(alpha: Alpha, folder_of: FolderOf) -> None:
    assert folder_of("half").run_id in alpha("runs", "show").stdout


def test_compare_shows_what_differs_and_the_results(alpha: Alpha, folder_of: FolderOf) -> None:
    compared = alpha("runs", "compare", "done", "half")
    assert compared.returncode == 0, compared.stderr
    assert re.search(r"activation +gelu +silu", compared.stdout)
    assert re.search(r"lr +0\.01 +0\.02", compared.stdout)
    assert re.search(r"status +completed +stopped", compared.stdout)
    assert "batch_size" not in compared.stdout
    assert "\ntag" not in compared.stdout
    as_json = json.loads(alpha("runs", "compare", "done", "half", "--json").stdout)
    assert as_json["settings"] == {"activation": ["gelu", "silu"], "lr": [0.01, 0.02]}
    assert [run["status"] for run in as_json["runs"]] == ["completed", "stopped"]


def test_plot_draws_in_the_terminal_without_escape_codes_in_a_pipe(alpha: Alpha, folder_of: FolderOf) -> None:
    plotted = alpha("runs", "plot", "done", "half", "--width=90")
    assert plotted.returncode == 0, plotted.stderr
    assert "\x1b" not in plotted.stdout
    lines = plotted.stdout.splitlines()
    assert "loss and valLoss (nats per token)" in lines[0]
    assert max(map(len, lines)) == 90
    assert f"•• {folder_of('done').run_id} loss" in plotted.stdout
    assert f"xx {folder_of('half').run_id} loss" in plotted.stdout


def test_plot_of_several_units_is_several_plots(alpha: Alpha) -> None:
    plotted = alpha("runs", "plot", "done", "--metric=loss,lr,tok/s", "--height=8").stdout
    assert [line.strip() for line in plotted.splitlines() if line.strip() in ("lr", "tokens_per_sec")] == [
        "lr",
        "tokens_per_sec",
    ]


def test_plot_as_json_is_points(alpha: Alpha, folder_of: FolderOf) -> None:
    (line,) = json.loads(alpha("runs", "plot", "done", "--metric=valLoss", "--json").stdout)
    assert (line["run"], line["metric"], line["over"]) == (folder_of("done").run_id, "valLoss", "step")
    assert [x for x, _ in line["points"]] == [4, 8, 12]


def test_plot_writes_a_picture(alpha: Alpha, home: Path) -> None:
    written = alpha("runs", "plot", "done", "half", "--metric=loss,lr", "--over=tokens", "--png=run.png")
    assert written.returncode == 0, written.stderr
    assert (written.stdout, written.stderr) == ("", "note: the picture is in `run.png`\n")
    content = (home / "run.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (1080, 960)


def test_a_picture_without_matplotlib_says_what_to_install(alpha: Alpha, home: Path) -> None:
    (home / "shadow").mkdir()
    (home / "shadow" / "matplotlib.py").write_text("raise ImportError('not here')\n")
    refused = alpha("runs", "plot", "done", "--png=run.png", PYTHONPATH=str(home / "shadow"))
    assert refused.returncode == 3
    assert refused.stderr == "error: pictures need matplotlib\nhint: `pip install alpha-train[plot]`\n"


def test_tail_shows_the_last_lines_and_what_became_of_the_run(alpha: Alpha, folder_of: FolderOf) -> None:
    shown = alpha("runs", "tail", "done", "--lines=2")
    assert shown.returncode == 0
    first, last = shown.stdout.splitlines()
    assert first.startswith("step 11/12  loss ")
    assert last.startswith("step 12/12  loss ")
    assert "valLoss" in last
    assert shown.stderr == f"note: run `{folder_of('done').run_id}` is completed\n"
    once = alpha("runs", "tail", "done", "--lines=1", "--once", "--json")
    assert json.loads(once.stdout)["step"] == 12
    assert once.stderr == ""


@pytest.fixture
def running(home: Path) -> "subprocess.Popen[str]":
    """A training process that takes its time; it is stopped afterwards."""
    settings = ["--data=text.txt", "--tokenizer=char", "--backend=cpu_ref", "--block=16", "--layers=1", "--dim=16"]
    (home / "text.txt").write_text("to be or not to be, that is the question\n" * 50)
    command = [ALPHA, "train", *settings, "--heads=2", "--batch=2", "--iters=100000", "--tag=live", "--eval-interval=0"]
    process = subprocess.Popen(
        [*command, "--sample-interval=0"],
        cwd=home,
        env={**ENVIRONMENT, "ALPHA_CACHE": str(home / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process  # type: ignore[misc]
    process.kill()
    process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_running_run_is_followed_until_it_ends(alpha: Alpha, home: Path, running: "subprocess.Popen[str]") -> None:
    wait_for(lambda: any((home / "runs").glob("live_*/metrics.jsonl")))
    with subprocess.Popen(
        [ALPHA, "runs", "tail", "live", "--lines=1"],
        cwd=home,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        steps = [int(tail.stdout.readline().split()[1].split("/")[0]) for _ in range(20)]
        assert steps == list(range(steps[0], steps[0] + 20))
        assert json.loads(alpha("runs", "list", "--json").stdout)[-1]["status"] == "running"
        running.send_signal(signal.SIGTERM)
        *_, last = tail.stdout.read().splitlines() or [""]
        assert tail.stderr.read().endswith(" is stopped\n")
        assert tail.wait(60) == 0
    (folder,) = (home / "runs").glob("live_*")
    log = (folder / "metrics.jsonl").read_text().splitlines()
    assert last.split()[1].split("/")[0] == str(json.loads(log[-1])["step"])


def test_a_killed_run_is_called_killed(alpha: Alpha, home: Path, running: "subprocess.Popen[str]") -> None:
    wait_for(lambda: any((home / "runs").glob("live_*/metrics.jsonl")))
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert json.loads(alpha("runs", "list", "--json").stdout)[-1]["status"] == "killed"


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (["show", "nothing"], 2, "there is no run `nothing`", "the latest is"),
        (["plot", "--metric=los"], 2, "no run has a metric `los`", "did you mean `loss`?"),
        (["plot", "--over=stepp"], 2, "`--over` is one of `step`, `tokens`, `time`", "did you mean `step`?"),
        (["plot", "--png=run.pdf"], 2, "`--png` names a `.png` file", ""),
        (["plot", "--png=no/such/run.png"], 2, "cannot be written", ""),
        (["compare"], 2, "name two or more runs", "`alpha runs list`"),
        (["compare", "done"], 2, "name two or more runs", "`alpha runs list`"),
        (["tail", "--lines=many"], 2, "--lines", ""),
        (["lst"], 2, "unknown command `runs lst`", "did you mean `runs list`?"),
    ],
)
def test_a_mistake_is_explained(arguments: list[str], code: int, message: str, hint: str, alpha: Alpha) -> None:
    done = alpha("runs", *arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert message in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_without_a_log_cannot_be_followed(alpha: Alpha, folder_of: FolderOf) -> None:
    (folder_of("done").path / "metrics.jsonl").unlink()
    refused = alpha("runs", "tail", "done")
    assert refused.returncode == 4
    assert "has no `metrics.jsonl`" in refused.stderr
