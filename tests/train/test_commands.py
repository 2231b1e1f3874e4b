"""`alpha train | sample | eval` as a person runs them: real processes, real signals, wrong input."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.train.conftest import TEXT

ALPHA = str(Path(sys.executable).with_name("alpha"))
SMALL = [
    "--data=text.txt",
    "--tokenizer=char",
    "--backend=cpu_ref",
    "--block=16",
    "--layers=1",
    "--dim=16",
    "--heads=2",
    "--batch=3",
    "--eval-iters=2",
    "--lr=1e-2",
]

Alpha = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHA_")}
    return {**kept, "ALPHA_CACHE": str(tmp_path / "cache"), "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture
def alpha(tmp_path: Path, text: Path, environment: dict[str, str]) -> Alpha:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ALPHA, *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    return run


def the_run(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


def losses(folder: Path) -> list[tuple[int, float]]:
    rows = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        rows[row["step"]] = row["loss"]
    return sorted(rows.items())


def test_train_evaluate_and_sample(alpha: Alpha, tmp_path: Path) -> None:
    trained = alpha("train", *SMALL, "--iters=40", "--evalInterval=20", "--sample-interval", "40")
    assert trained.returncode == 0, trained.stderr
    assert "step 40/40" in trained.stdout
    assert "valLoss" in trained.stdout
    folder = the_run(tmp_path)
    assert f"sample from it with: alpha sample {folder.name}" in trained.stdout
    rows = losses(folder)
    assert rows[-1][1] < rows[0][1]

    sampled = alpha("sample", "last", "--prompt=line ", "--steps=30", "--temperature=0")
    assert sampled.returncode == 0, sampled.stderr
    assert sampled.stdout.startswith("line ")
    assert len(sampled.stdout) > 10
    assert alpha("sample", folder.name[:12], "--prompt=line ", "--steps=30", "--temperature=0").stdout == sampled.stdout
    several = alpha("sample", "--num-samples=2", "--steps=5")
    assert several.stdout.count("--- sample") == 2

    evaluated = alpha("eval", "last", "--json")
    figures = json.loads(evaluated.stdout)
    assert figures["step"] in (20, 40)
    assert figures["loss"] == pytest.approx(rows[-1][1], abs=0.5)
    assert figures["perplexity"] == pytest.approx(2.718281828 ** figures["loss"])
    assert figures["bitsPerByte"] == pytest.approx(figures["loss"] / 0.693147181, rel=0.01)  # a character is a byte
    other = alpha("eval", "--data=text.txt", "--batches=1")
    assert "48 tokens of `text.txt`" in other.stdout


@pytest.mark.parametrize(("sent", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_signal_ends_the_step_writes_a_checkpoint_and_says_how_to_resume(
    sent: signal.Signals, code: int, name: str, alpha: Alpha, tmp_path: Path, environment: dict[str, str]
) -> None:
    settings = [*SMALL, "--iters=150", "--dropout=0.1", "--accum-steps=2", "--sample-interval=0", "--eval-interval=100"]
    process = subprocess.Popen(
        [ALPHA, "train", *settings],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not any((tmp_path / "runs").glob("*/metrics.jsonl")) or len(losses(the_run(tmp_path))) < 5:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(sent)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    folder = the_run(tmp_path)
    stopped_at = int(re.search(r"stopped by (\S+) after step (\d+)", output)[2])  # type: ignore[index]
    assert f"stopped by {name} after step" in output
    assert f"resume with: alpha train --resume={folder.name}" in output
    assert (folder / f"checkpoint-{stopped_at}.alph").exists()
    assert stopped_at < 150

    resumed = alpha("train", f"--resume={folder.name}")
    assert resumed.returncode == 0, resumed.stderr
    assert f"resumed at step {stopped_at}" in resumed.stdout
    straight = alpha("train", *settings, "--runs-dir=straight")
    assert straight.returncode == 0
    (other,) = (tmp_path / "straight").iterdir()
    assert losses(folder) == losses(other)


def test_text_can_come_from_standard_input(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [ALPHA, "train", *SMALL[1:], "--data=-", "--iters=4", "--eval-interval=2", "--sample-interval=0"]
    trained = subprocess.run(command, cwd=tmp_path, env=environment, input=TEXT, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr
    resume = [ALPHA, "train", "--resume=last", "--iters=6"]
    resumed = subprocess.run(resume, cwd=tmp_path, env=environment, input="", capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert [step for step, _ in losses(the_run(tmp_path))] == [1, 2, 3, 4, 5, 6]


def test_print_config_shows_precedence_and_reloads(alpha: Alpha, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('domain = "abc"\n[train]\nlr = 2e-3\niters = 7\n[model]\nn_head = 8\n')
    shown = alpha("train", "--config=run.toml", "--print-config", "--iters=9", ALPHA_LR="4e-3", ALPHA_ITERS="8")
    assert shown.returncode == 0, shown.stderr
    config = tomllib.loads(shown.stdout)
    assert config["train"]["tokenizer"] == "char"  # domain
    assert config["model"]["n_head"] == 8  # file over domain
    assert config["train"]["lr"] == 4e-3  # environment over file
    assert config["train"]["iters"] == 9  # flag over environment
    (tmp_path / "again.toml").write_text(shown.stdout)
    assert tomllib.loads(alpha("train", "--config=again.toml", "--print-config").stdout) == config
    assert not (tmp_path / "runs").exists()


def test_a_trace_is_written_and_printed(alpha: Alpha, tmp_path: Path) -> None:
    options = ["--iters=6", "--sample-interval=0", "--trace=trace.json", "--trace-steps=2-4", "--json"]
    done = alpha("train", *SMALL, *options, "--precision=bf16")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "completed"
    assert "traced: steps 2 to 4" in done.stderr
    assert re.search(r"accumulate +3 +\S+ +\S+% +\S+\n", done.stderr)
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event["name"] == "update" for event in events) == 3


def test_a_profile_is_a_layer_below_the_flags(alpha: Alpha, tmp_path: Path) -> None:
    (tmp_path / "profile.toml").write_text('[profile]\nbackend = "cpu_ref"\n[train]\nbatch_size = 5\nlr = 2e-3\n')
    shown = alpha("train", "--profile=profile.toml", "--print-config", "--lr=1e-3", ALPHA_BATCH_SIZE="7")
    assert shown.returncode == 0, shown.stderr
    train = tomllib.loads(shown.stdout)["train"]
    assert (train["batch_size"], train["lr"], train["backend"]) == (5, 1e-3, "cpu_ref")


def test_without_arguments_it_is_the_python_domain(alpha: Alpha) -> None:
    config = tomllib.loads(alpha("train", "--print-config").stdout)
    assert config["domain"] == "python"
    assert config["train"]["data"] == "python"


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (["train", "--itres=5"], 2, "`--itres`", "--iters"),
        (["train", "--iters=many"], 2, "iters", ""),
        (["train", "--n-head=3", "--n-embd=16", "--lr=0", "--dropout=1"], 2, "lr", ""),
        (["train", "--data=txt.txt"], 4, "there is no file or folder `txt.txt`", "did you mean"),
        (["train", "--data=text.txt", "--tokenizer=charr"], 2, "tokenizer `charr`", "did you mean `char`?"),
        (["train", "--domain=pyhton"], 2, "pyhton", "python"),
        (["train", "--resume=last"], 2, "there is no run `last`", "start one with `alpha train`"),
        (["train", "--config=missing.toml"], 2, "missing.toml", ""),
        (["train", "--resume=last", "--domain=python"], 2, "`--resume` takes the run's own configuration", ""),
        (["train", "--data=text.txt", "--tokenizer=missing.json"], 4, "`missing.json` cannot be read", ""),
        (["train", "--resume=last", "--profile=p.toml"], 2, "`--resume` takes the run's own configuration", ""),
        (["train", "--data=text.txt", "--trace=no/where.json"], 2, "there is no folder `no`", ""),
        (["train", "--data=text.txt", "--trace=t.json", "--trace-steps=9-5"], 2, "cannot be traced", "upwards"),
        (["train", "--data=text.txt", "--trace=t.json", "--trace-steps=all"], 2, "such as `5-14`", ""),
        (["train", *SMALL, "--knobs=lanes=2"], 2, "backend `cpu_ref` has no knob `lanes`", ""),
        (["sample", "nothing"], 2, "there is no run `nothing`", ""),
        (["eval", "nothing"], 2, "there is no run `nothing`", ""),
    ],
)
def test_a_mistake_is_explained_in_a_line(
    arguments: list[str], code: int, message: str, hint: str, alpha: Alpha, tmp_path: Path
) -> None:
    result = alpha(*arguments)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert hint in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_all_violated_constraints_come_at_once(alpha: Alpha) -> None:
    errors = alpha("train", "--n-head=3", "--n-embd=16", "--lr=0", "--dropout=1", "--iters=1.5").stderr
    for key in ("n_embd", "lr", "dropout", "iters"):
        assert f"`{key}`" in errors or f"--{key.replace('_', '-')}" in errors


def test_mistakes_about_a_run_are_explained(alpha: Alpha, tmp_path: Path) -> None:
    assert alpha("train", *SMALL, "--iters=4", "--eval-interval=2", "--sample-interval=0").returncode == 0
    folder = the_run(tmp_path)
    missing = alpha("sample", "last", "--checkpoint=3")
    assert "has no checkpoint `3`" in missing.stderr
    assert "there are `2`, `4`" in missing.stderr
    changed = alpha("train", "--resume=last", "--n-embd=32", "--iters=6")
    assert changed.returncode == 5
    assert "`n_embd` is 16 in the checkpoint, 32 in the configuration" in changed.stderr
    assert json.loads((folder / "config.json").read_text())["model"]["n_embd"] == 16
    for path in folder.glob("checkpoint-*.alph"):
        path.write_bytes(path.read_bytes()[:1000])
    for command in (["sample"], ["eval"], ["train", "--resume=last"]):
        damaged = alpha(*command)
        assert damaged.returncode == 5, damaged.stderr
        assert "Traceback" not in damaged.stderr
    debugged = alpha("--debug", "sample")
    assert "Traceback" in debugged.stderr
