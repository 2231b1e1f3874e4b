"""`alpha plan` as a person runs it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ALPHA = str(Path(sys.executable).with_name("alpha"))
TEXT = "".join(f"line {i}: the quick brown fox jumps over {i * i} lazy dogs\n" for i in range(150))
SMALL = ["--data=text.txt", "--tokenizer=char", "--block=16", "--layers=1", "--dim=16", "--heads=2", "--batch=3"]
Alpha = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def alpha(tmp_path: Path) -> Alpha:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHA_")}
    environ = {
        **kept,
        "ALPHA_BACKEND": "cpu_ref",
        "ALPHA_CACHE": str(tmp_path / "cache"),
        "OPENBLAS_NUM_THREADS": "1",
    }
    (tmp_path / "text.txt").write_text(TEXT)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [ALPHA, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    return run


def test_the_plan_has_the_figures_of_the_run_that_follows(alpha: Alpha, tmp_path: Path) -> None:
    planned = json.loads(alpha("plan", *SMALL, "--iters=4", "--json").stdout)
    assert planned["text"]["tokens"] + planned["text"]["validationTokens"] == len(TEXT)
    assert not (tmp_path / "runs").exists()
    trained = alpha("train", *SMALL, "--iters=4", "--backend=cpu_ref", "--sample-interval=0")
    assert f"{planned['parameters']['total'] / 1000:.3g}k parameters" in trained.stdout
    assert "training the tokenizer" not in trained.stderr  # the plan left it in the cache
    (checkpoint,) = tmp_path.glob("runs/*/checkpoint-4.alph")
    assert checkpoint.stat().st_size == pytest.approx(planned["memoryBytes"]["checkpoint"], abs=30_000)


def test_the_table_says_it_all_in_words(alpha: Alpha) -> None:
    planned = alpha("plan", *SMALL, "--iters=400", "--tokens-per-second=1000")
    assert planned.returncode == 0, planned.stderr
    for pattern in (
        r"model: 1 layers, width 16",
        r"optimizer \(adamw\) +\S+ KiB",
        r"passes through it +\d",
        r"tokens per parameter +\S+ \(about 20",
        r"at 1k tokens/s +19 s",
    ):
        assert re.search(pattern, planned.stdout), pattern


def test_nothing_is_read_when_told_so(alpha: Alpha) -> None:
    planned = alpha("plan", "--data=not-there.txt", "--tokenizer=bpe-4k", "--no-read", "--json")
    assert planned.returncode == 0, planned.stderr
    figures = json.loads(planned.stdout)
    assert (figures["text"], figures["passes"]) == (None, None)
    assert figures["parameters"]["embedding"] == (2 * 4096 + 256) * 256


def test_a_known_number_of_tokens_stands_for_the_text(alpha: Alpha) -> None:
    figures = json.loads(alpha("plan", "--data=not-there.txt", "--tokens=2e6", "--iters=1000", "--json").stdout)
    assert figures["passes"] == pytest.approx(64 * 256 * 1000 / 2e6)


def test_warnings_come_last_and_change_no_exit_code(alpha: Alpha) -> None:
    planned = alpha("plan", *SMALL, "--iters=2000", "--warmup=1500")
    assert planned.returncode == 0
    *_, warnings = planned.stdout.split("warnings\n")
    assert "rises for 1500 of 2000 steps" in warnings
    assert "goes through its text" in warnings


def test_a_configuration_note_is_among_the_warnings_and_stands_once(alpha: Alpha) -> None:
    warnings = json.loads(alpha("plan", *SMALL, "--iters=10", "--warmup=10", "--json").stdout)["warnings"]
    assert sum("warmup" in text for text in warnings) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data=nothing.txt"], 4, "there is no file or folder `nothing.txt`"),
        (["--tokens=0"], 2, "`--tokens` is a number, 1 or more"),
        (["--tokens=nan"], 2, "`--tokens` is a number, 1 or more"),
        (["--tokens=many"], 2, "--tokens"),
        (["--tokens-per-second=-3"], 2, "`--tokens-per-second` is a number"),
        (["--n-head=3"], 2, "must be a multiple"),
        (["--optimizer=adam"], 2, "did you mean `adamw`?"),
        (["--data=text.txt", "--tokenizer=char", "--block=100000"], 4, "one window needs"),
        (["--iter=3"], 2, "did you mean `--iters`?"),
        (["--no-read", "--knobs=lanes=2"], 2, "backend `cpu_ref` has no knob `lanes`"),
        (["--no-read", "--knobs=lanes"], 2, "`lanes` sets no knob"),
        (["--no-read", "--profile=missing.toml"], 2, "there is no config file `missing.toml`"),
    ],
)
def test_a_mistake_is_explained(arguments: list[str], code: int, message: str, alpha: Alpha) -> None:
    done = alpha("plan", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
