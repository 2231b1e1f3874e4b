"""The metric sink `report`: what a person wants to read after a run, in Markdown."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpha_core.errors import UsageError
from alpha_core.observer import Event, MetricSink, RunInfo, Sample

__all__ = ["ReportSink"]


class ReportSink(MetricSink):
    """Writes `report.md` in the run folder: evaluations, samples, warnings and the end, each as it comes.

    Raises `UsageError` for a run without a folder.
    """

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        if run.folder is None:
            raise UsageError("the sink `report` needs a run folder, and this run has none")
        self._path: Path = run.folder / "report.md"

    def on_start(self, run: RunInfo) -> None:
        title = f"# Run {run.run_id}" if run.start_step == 0 else f"## Resumed after step {run.start_step}"
        self._write(title, f"{run.parameters:,} parameters on {run.backend}; {run.train_tokens:,} tokens of text.")

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        if metrics.get("valLoss") is not None:
            losses = f"loss {_number(metrics['loss'])}, validation loss {_number(metrics['valLoss'])}"
            self._write(f"- step {metrics['step']}: {losses}")

    def on_event(self, event: Event) -> None:
        if event.level != "info":
            self._write(f"- step {event.step}, {event.level}: {event.message}")

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        for sample in samples:
            indented = "\n".join(f"    {line}" for line in (sample.prompt + sample.output).splitlines())
            self._write(f"A sample at step {step}:", indented)

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        self._write(f"{summary['status'].capitalize()} after step {summary['step']}.")

    def _write(self, *paragraphs: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{paragraph}\n\n" for paragraph in paragraphs)


def _number(value: float | None) -> str:
    return f"{value:.4f}" if value is not None and math.isfinite(value) else "not finite"
