"""The `wandb` and `trackio` metric sinks: one class, for both share an API."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

from alpha_core.json_value import json_value
from alpha_core.observer import MetricSink, RunInfo, Sample
from alpha_report.scalars import finite, scalars_of

__all__ = ["TrackioSink", "WandbSink"]


class WandbSink(MetricSink):
    """Logs metrics, samples and the end of a run with `wandb`, in the project `WANDB_PROJECT` or `alpha`.

    The run's id is that of Alpha, so a resumed run goes on in the same place. The package's own environment variables
    (`WANDB_API_KEY`, `WANDB_MODE=offline`, ...) hold; what it keeps on disk goes into the run folder.
    """

    module: ClassVar[str] = "wandb"
    project_variable: ClassVar[str] = "WANDB_PROJECT"

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        self._tracker = import_module(self.module)
        self._run = self._tracker.init(
            project=os.environ.get(self.project_variable) or "alpha",
            name=run.run_id,
            config=json_value({**run.config, "parameters": run.parameters, "backend": run.backend}),
            resume="allow",
            **self.options(run),
        )

    def options(self, run: RunInfo) -> dict[str, Any]:
        """Returns the arguments of `init` that are this package's own."""
        return {"id": run.run_id, "dir": str(run.folder) if run.folder is not None else None}

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self._run.log(finite(scalars_of(metrics)), step=metrics["step"])

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        if samples:
            rows = [[sample.prompt, sample.output] for sample in samples]
            self._run.log({"samples": self.table(["prompt", "output"], rows)}, step=step)

    def table(self, columns: list[str], rows: list[list[str]]) -> Any:
        """Returns rows as the package's own kind of table."""
        return self._tracker.Table(columns=columns, data=rows)

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        step = summary.get("step")
        if step:
            self._run.log({f"final/{name}": value for name, value in finite(scalars_of(summary)).items()}, step=step)

    def close(self) -> None:
        self._run.finish()


class TrackioSink(WandbSink):
    """The same with `trackio`, which keeps runs in files of its own (`TRACKIO_DIR`); `trackio show` shows them."""

    module: ClassVar[str] = "trackio"
    project_variable: ClassVar[str] = "TRACKIO_PROJECT"

    def options(self, run: RunInfo) -> dict[str, Any]:
        return {"embed": False}
