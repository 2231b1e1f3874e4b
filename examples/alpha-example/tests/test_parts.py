"""What the kits do not ask: the plugin as a whole, its domain and its command."""

import doctest
import subprocess
import sys
from pathlib import Path

from alpha_core.plugins import load_plugins

from alpha_example import tokenizer
from alpha_example.domain import rhymes


def test_everything_is_registered() -> None:
    (record,) = (record for record in load_plugins(["example"]).records if record.name == "example")
    assert record.broken is None
    assert record.registers == {
        "backends": ("plain",),
        "tokenizers": ("bytes",),
        "activations": ("leaky_squareplus",),
        "optimizers": ("rmsprop",),
        "schedules": ("inverse_sqrt",),
        "metric_sinks": ("report",),
        "domains": ("rhymes",),
        "commands": ("example rates",),
    }


def test_the_domain_brings_its_text() -> None:
    text = Path(rhymes().train["data"]).read_text(encoding="utf-8")
    assert all(prompt in text for prompt in rhymes().prompts)


def test_rates_are_printed_from_the_first_step_to_the_last() -> None:
    done = _alpha("example", "rates", "--schedule=inverse_sqrt", "--iters=100", "--warmup=9", "--lr=1", "--points=4")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\t0.1\n34\t0.542\n67\t0.386\n100\t0.316\n"


def test_a_single_point_is_refused() -> None:
    done = _alpha("example", "rates", "--points=1")
    assert done.returncode == 2
    assert done.stderr.endswith("error: `--points` is 1; 2 or more are needed, the first step and the last\n")


def test_docstrings_tell_the_truth() -> None:
    failed, tried = doctest.testmod(tokenizer)
    assert tried > 0
    assert failed == 0


def _alpha(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alpha_cli", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
