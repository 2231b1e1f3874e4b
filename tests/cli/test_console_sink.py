"""The `console` sink, in a terminal and in a log."""

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alpha_cli.console_sink import ConsoleSink
from alpha_core.observer import Event, RunInfo, Sample

RUN = RunInfo(run_id="tiny", folder=Path("tiny"), config={}, parameters=1000, iters=400, backend="cpu_ref")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def metrics(step: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "loss": 4 - step / 200, "lr": 3e-4, "gradNorm": 1.5, "tokens_per_sec": 2000.0, **more}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def log_console(encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    """What a file or a pipe is."""
    buffer = io.BytesIO()
    return Console(file=io.TextIOWrapper(buffer, encoding=encoding, write_through=True), width=80), buffer


def terminal_console() -> tuple[Console, io.StringIO]:
    """What a terminal of 80 columns is."""
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=80, color_system="standard", legacy_windows=False), file


def run_steps(sink: ConsoleSink, clock: Clock, seconds_per_step: float, **at: dict[str, Any]) -> None:
    sink.on_start(sink.run)
    for step in range(sink.run.start_step + 1, sink.run.iters + 1):
        clock.now += seconds_per_step
        sink.on_step(metrics(step, **at.get(f"step_{step}", {})))
    sink.on_finish({"status": "completed", "step": sink.run.iters, "loss": 2.0, "bestValLoss": 2.5})
    sink.close()


def test_a_log_gets_the_start_a_line_a_second_evaluations_and_the_end(clock: Clock) -> None:
    console, buffer = log_console()
    run_steps(ConsoleSink(RUN, console=console, clock=clock), clock, 0.02, step_110={"valLoss": 2.75})
    lines = buffer.getvalue().decode().splitlines()
    assert lines[:2] == ["run tiny: 1k parameters on cpu_ref, 400 steps", "folder: tiny"]
    assert lines[2] == "step   1/400  loss 3.9950  lr 3.00e-04  grad 1.5  2k tok/s  eta 0:08"
    assert lines[-2] == "step 400/400  loss 2.0000  lr 3.00e-04  grad 1.5  2k tok/s  eta 0:00"
    assert lines[-1] == "completed at step 400, loss 2.0000, best valLoss 2.5000, in 0:08"
    (evaluation,) = [line for line in lines if "valLoss 2.7500" in line]
    assert evaluation.startswith("step 110/400  loss 3.4500  valLoss 2.7500")
    assert 9 <= len(lines[2:-1]) <= 12
    assert "\x1b" not in buffer.getvalue().decode()


def test_lines_of_a_long_run_come_at_longer_intervals(clock: Clock) -> None:
    console, buffer = log_console()
    run_steps(ConsoleSink(RUN, console=console, clock=clock), clock, 5.0)
    seconds = [5 * int(line[5:8]) for line in buffer.getvalue().decode().splitlines() if line.startswith("step")]
    gaps = [later - earlier for earlier, later in pairwise(seconds)]
    assert gaps[0] == 5
    assert max(gaps) == 10


def test_a_resumed_run_counts_its_own_time(clock: Clock) -> None:
    console, buffer = log_console()
    run = RunInfo(run_id="tiny", folder=None, config={}, parameters=1000, iters=400, start_step=300)
    run_steps(ConsoleSink(run, console=console, clock=clock), clock, 1.0)
    text = buffer.getvalue().decode()
    assert "from step 300" in text
    assert "step 301/400  loss 2.4950  lr 3.00e-04  grad 1.5  2k tok/s  eta 1:39" in text


def test_samples_in_a_log_are_blocks_without_control_characters(clock: Clock) -> None:
    console, buffer = log_console()
    sink = ConsoleSink(RUN, console=console, clock=clock)
    long = "word " * 40
    sink.on_samples(
        7, [Sample(prompt="def ", output="def f():\n\treturn [1]\x1b[2J\r\n"), Sample(prompt="", output=long)]
    )
    assert buffer.getvalue().decode() == (
        "--- sample 1 at step 7 ---\ndef f():\n\treturn [1]\ufffd[2J\n---\n"
        f"--- sample 2 at step 7 ---\n{long.rstrip()}\n---\n"
    )


def test_a_log_that_knows_only_ascii_gets_ascii(clock: Clock) -> None:
    console, buffer = log_console("ascii")
    ConsoleSink(RUN, console=console, clock=clock).on_samples(7, [Sample(prompt="naïve ", output="café")])
    assert buffer.getvalue() == b"--- sample 1 at step 7 ---\nna?ve caf?\n---\n"


def test_events_are_lines_but_for_those_that_are_shown_otherwise(clock: Clock) -> None:
    console, buffer = log_console()
    sink = ConsoleSink(RUN, console=console, clock=clock)
    sink.on_event(Event(kind="checkpoint_saved", message="saved `checkpoint-50.alph`", step=50))
    sink.on_event(Event(kind="eval_summary", message="valLoss 2.0", step=50))
    sink.on_event(Event(kind="eval_summary", message="nothing to evaluate", step=51, level="warning"))
    sink.on_event(Event(kind="loss_nan", message="[the loss is not finite]", step=52, level="error"))
    assert buffer.getvalue().decode().splitlines() == [
        "step  50/400  saved `checkpoint-50.alph`",
        "step  51/400  warning: nothing to evaluate",
        "step  52/400  error: [the loss is not finite]",
    ]


def test_a_terminal_gets_a_bar_that_fits_and_lines_that_stay(clock: Clock) -> None:
    console, file = terminal_console()
    sink = ConsoleSink(RUN, console=console, clock=clock)
    sink.on_start(RUN)
    clock.now += 10
    sink.on_step(metrics(200, valLoss=2.75))
    clock.now += 1
    sink.on_step(metrics(210))
    sink.on_samples(210, [Sample(prompt="def ", output="f(): [bold]")])
    sink.on_event(Event(kind="checkpoint_saved", message="saved it", step=210))
    sink.on_finish({"status": "completed", "step": 210, "loss": 2.0})
    sink.close()
    text = file.getvalue()
    assert "\x1b[" in text
    assert "step 210/400" in text
    assert "loss 2.950  val 2.750  lr 3.0e-04  2k tok/s  eta 0:10" in text
    assert "step 200/400  loss 3.0000  valLoss 2.7500" in text
    assert "sample 1 at step 210" in text
    assert "f(): [bold]" in text
    assert "step 210/400  saved it" in text
    assert "completed at step 210, loss 2.0000, in 0:11" in text


def test_closing_a_run_that_failed_early_leaves_the_terminal_in_order(clock: Clock) -> None:
    console, file = terminal_console()
    sink = ConsoleSink(RUN, console=console, clock=clock)
    sink.on_step(metrics(1))
    sink.on_start(RUN)
    sink.close()
    sink.close()
    assert file.getvalue().count("\x1b[?25l") == file.getvalue().count("\x1b[?25h") == 1


def test_without_a_console_it_writes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    sink = ConsoleSink(RUN)
    sink.on_start(RUN)
    sink.close()
    assert capsys.readouterr().out.startswith("run tiny: 1k parameters")
