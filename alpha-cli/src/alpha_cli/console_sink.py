"""The `console` sink: a live progress bar in a terminal, plain lines everywhere else."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from alpha_cli.progress_text import (
    bar_words,
    duration,
    header,
    metrics_words,
    printable,
    sample_text,
    step_label,
    summary_line,
)
from alpha_core.observer import Event, MetricSink, RunInfo, Sample

__all__ = ["ConsoleSink"]

SHOWN_OTHERWISE = frozenset({"training_started", "eval_summary", "samples_generated", "training_complete"})
"""Kinds of events that only repeat what the start, evaluations, samples and the end show already."""
LEVEL_STYLES = {"info": "dim", "warning": "yellow", "error": "bold red"}


class ConsoleSink(MetricSink):
    """Shows a run on standard output. Evaluations, samples and events stay; single steps come and go.

    In a terminal a bar at the bottom follows every step. Elsewhere a line appears at most once a second, and less often
    in a long run, so that a log of hours stays readable.
    """

    def __init__(
        self, run: RunInfo, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(run)
        self._console = console if console is not None else Console(highlight=False)
        self._clock = clock
        self._started = clock()
        live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._bar = _Bar(self._console, run) if live else None
        self._last_line: float | None = None
        self._validation_loss: float | None = None

    def on_start(self, run: RunInfo) -> None:
        self._started = self._clock()
        for line in header(run):
            self._line(line, style="bold")
        if self._bar is not None:
            self._bar.start()

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        step = metrics["step"]
        remaining = self._remaining(step)
        evaluated = metrics.get("valLoss") is not None
        if evaluated:
            self._validation_loss = metrics["valLoss"]
        if self._bar is not None:
            self._bar.update(step, bar_words(metrics, self._validation_loss, remaining))
        if evaluated or (self._bar is None and self._is_due(step)):
            self._last_line = self._clock()
            words = [step_label(step, self.run.iters), *metrics_words(metrics)]
            self._line("  ".join(words if self._bar is not None else [*words, remaining]))

    def on_event(self, event: Event) -> None:
        if event.level == "info" and event.kind in SHOWN_OTHERWISE:
            return
        level = "" if event.level == "info" else f"{event.level}: "
        label = step_label(event.step, self.run.iters)
        self._line(f"{label}  {level}{event.message}", style=LEVEL_STYLES.get(event.level, ""))

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        for index, sample in enumerate(samples, start=1):
            title = f"sample {index} at step {step}"
            prompt, output = (printable(part, self._console.encoding) for part in sample_text(sample))
            if self._bar is not None:
                text = Text.assemble((prompt, "bold"), output)
                self._console.print(Panel(text, title=title, title_align="left", border_style="dim"))
            else:
                print(f"--- {title} ---\n{prompt}{output}\n---", file=self._console.file, flush=True)

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        self._stop_bar()
        self._line(summary_line(summary, self._clock() - self._started), style="bold")

    def close(self) -> None:
        self._stop_bar()

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _line(self, text: str, style: str = "") -> None:
        text = printable(text, self._console.encoding)
        if self._bar is not None:
            self._console.print(Text(text, style=style))
        else:
            print(text, file=self._console.file, flush=True)

    def _is_due(self, step: int) -> bool:
        """The first step, the last one, and between them one a second at first, one in ten seconds in the end."""
        if self._last_line is None or step == self.run.iters:
            return True
        now = self._clock()
        pause = min(10.0, max(1.0, (now - self._started) / 60))
        return now - self._last_line >= pause

    def _remaining(self, step: int) -> str:
        done = step - self.run.start_step
        if done <= 0:
            return "eta ?"
        return "eta " + duration((self._clock() - self._started) / done * (self.run.iters - step))


class _Bar:
    """The line at the bottom of a terminal."""

    def __init__(self, console: Console, run: RunInfo) -> None:
        columns = (TextColumn("{task.fields[label]}"), BarColumn(bar_width=None), TextColumn("{task.fields[words]}"))
        self._progress = Progress(*columns, console=console, transient=True, expand=True)
        self._run = run
        self._task: TaskID | None = None

    def start(self) -> None:
        step, iters = self._run.start_step, self._run.iters
        self._task = self._progress.add_task(
            "", total=iters, completed=step, label=step_label(step, iters), words="starting"
        )
        self._progress.start()

    def update(self, step: int, words: Sequence[str]) -> None:
        if self._task is not None:
            label = step_label(step, self._run.iters)
            self._progress.update(self._task, completed=step, label=label, words="  ".join(words))

    def stop(self) -> None:
        self._progress.stop()
