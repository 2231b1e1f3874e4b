"""The `tensorboard` metric sink: event files in the run folder, written by tensorboardX."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tensorboardX import SummaryWriter

from alpha_core.errors import UsageError
from alpha_core.json_value import json_value
from alpha_core.observer import Event, MetricSink, RunInfo, Sample
from alpha_report.scalars import scalars_of

__all__ = ["TensorBoardSink"]


class TensorBoardSink(MetricSink):
    """Writes metrics as scalars, and configuration, samples, warnings and errors as texts, into `tensorboard/`.

    `tensorboard --logdir=runs` shows all runs. A resumed run hides what an earlier attempt wrote of the same steps.
    Raises `UsageError` for a run without a folder.
    """

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        if run.folder is None:
            raise UsageError("the sink `tensorboard` needs a run folder, and this run has none")
        purge = run.start_step + 1 if run.start_step else None
        # Names of event files hold the second at which they begin; a run may be resumed within the same one.
        suffix = f".{run.start_step}"
        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=purge, filename_suffix=suffix)

    def on_start(self, run: RunInfo) -> None:
        text = json.dumps(json_value(run.config), indent=2)
        self._writer.add_text("config", _preformatted(text), run.start_step)

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        for name, value in scalars_of(metrics).items():
            self._writer.add_scalar(name, value, metrics["step"])

    def on_event(self, event: Event) -> None:
        if event.level != "info":
            self._writer.add_text(f"events/{event.kind}", _preformatted(event.message), event.step)

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        for index, sample in enumerate(samples, start=1):
            self._writer.add_text(f"samples/{index}", _preformatted(sample.prompt + sample.output), step)

    def close(self) -> None:
        self._writer.close()


def _preformatted(text: str) -> str:
    """Returns text as Markdown that shows it as it is."""
    return "\n".join(f"    {line}" for line in text.replace("\0", "\ufffd").splitlines())
