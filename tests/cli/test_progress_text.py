"""Numbers and words of training progress."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_cli.progress_text import bar_words, count, duration, header, metrics_words, printable, summary_line
from alpha_core.observer import RunInfo


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7.4, "7"),
        (950, "950"),
        (999.7, "1k"),
        (1234, "1.23k"),
        (12_345, "12.3k"),
        (999_499, "999k"),
        (999_600, "1M"),
        (124_439_808, "124M"),
        (7e9, "7B"),
        (1.5e12, "1500B"),
    ],
)
def test_counts_are_short(number: float, text: str) -> None:
    assert count(number) == text


@given(st.floats(1, 999e9))
def test_counts_are_true_to_three_digits(number: float) -> None:
    text = count(number)
    scale = {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1)
    assert float(text.rstrip("kMB")) * scale == pytest.approx(number, rel=6e-3, abs=0.5)
    assert "e" not in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (42.4, "0:42"), (59.6, "1:00"), (725, "12:05"), (10_859, "3:00:59")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_header_says_what_is_known() -> None:
    run = RunInfo(run_id="x", folder=None, config={}, parameters=10, iters=5)
    assert header(run) == ["run x: 10 parameters, 5 steps"]
    run = RunInfo(
        run_id="x",
        folder=Path("runs") / "x",
        config={},
        parameters=1_230_000,
        iters=500,
        start_step=100,
        train_tokens=1_000_000,
        validation_tokens=100_000,
        backend="cpu_ref",
    )
    assert header(run) == [
        "run x: 1.23M parameters on cpu_ref, 500 steps, from step 100",
        "data: 1M tokens for training, 100k for validation",
        f"folder: {Path('runs') / 'x'}",
    ]


def test_metrics_that_are_missing_or_not_finite_are_no_trouble() -> None:
    assert metrics_words({"step": 1}) == []
    words = metrics_words({"loss": float("nan"), "lr": 3e-4, "gradNorm": None, "tokens_per_sec": 0})
    assert words == ["loss nan", "lr 3.00e-04"]
    assert bar_words({"loss": float("inf")}, None, "eta ?") == ["loss inf", "eta ?"]
    assert bar_words({"loss": 2.0, "lr": 1e-3, "tokens_per_sec": 1500.0}, 2.5, "eta 0:01") == [
        "loss 2.000",
        "val 2.500",
        "lr 1.0e-03",
        "1.5k tok/s",
        "eta 0:01",
    ]


def test_the_summary_says_what_is_known() -> None:
    assert summary_line({}, 61) == "ended at step ?, in 1:01"
    summary = {"status": "stopped", "step": 9, "loss": 1.5, "bestValLoss": None}
    assert summary_line(summary, 1) == "stopped at step 9, loss 1.5000, in 0:01"


@given(st.text())
def test_text_of_a_model_cannot_command_the_terminal(text: str) -> None:
    shown = printable(text, "utf-8")
    assert all(character.isprintable() or character in "\n\t\ufffd" for character in shown)
    assert printable(text, "ascii").isascii()
