"""Who watches a run: observers, called by the training loop, and metric sinks, each on a thread of its own."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import attrs

__all__ = ["Event", "MetricSink", "Observer", "RunInfo", "Sample"]


@attrs.frozen(kw_only=True)
class RunInfo:
    """What is known when a run starts (or resumes, then `start_step` > 0)."""

    run_id: str
    folder: Path | None
    """The run folder; None for a run that keeps no files."""
    config: Mapping[str, Any]
    """The complete configuration, as `config.json` holds it."""
    parameters: int
    """Number of scalar parameters of the model."""
    iters: int
    start_step: int = 0
    train_tokens: int = 0
    validation_tokens: int = 0
    backend: str = ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened once, such as `checkpoint_saved`. `level` is `info`, `warning` or `error`.

    All sinks see the same `time`, so that what one wrote is recognized in what another one wrote.
    """

    kind: str
    message: str
    step: int
    level: str = "info"
    payload: Mapping[str, Any] = attrs.field(factory=dict)
    time: str = attrs.field(factory=_now)
    """When it happened: UTC, ISO 8601, microseconds."""


@attrs.frozen(kw_only=True)
class Sample:
    """A text that the model wrote during training."""

    prompt: str
    output: str
    time: str = attrs.field(factory=_now)
    """When it was written: UTC, ISO 8601, microseconds. All sinks see the same."""


class Observer:
    """Receives what happens in a run; every method may be left out.

    ```python
    class PrintLoss(Observer):
        def on_step(self, metrics):
            print(metrics["step"], metrics["loss"])
    ```
    """

    def on_start(self, run: RunInfo) -> None:
        """The run begins or resumes."""

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        """A step is done. Always has `step`, `loss` (nats per token), `lr`, `gradNorm`, `elapsed_ms`, `tokens_per_sec`;
        after an evaluation also `valLoss`."""

    def on_event(self, event: Event) -> None:
        """Something happened once."""

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        """The model wrote samples."""

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        """The run ended. `status` is `completed`, `early_stopped` (validation stopped improving), `stopped` (someone
        asked) or `failed`; also `step`, `loss`, `bestValLoss`."""


class MetricSink(Observer):
    """An observer that stores or shows a run, selected by name (`--sinks=console,jsonl`).

    Its methods run on a thread of its own, in order, behind a bounded queue: a slow sink loses what does not fit, a
    failing one is switched off; both are named, and neither slows or stops training. A sink that works on, though a
    person should know of something (a server is away), calls `self.tell(message)`. A complete sink plugin:

    ```python
    class LossFile(MetricSink):
        def __init__(self, run):
            super().__init__(run)
            if run.folder is None:
                raise UsageError("the sink `loss_file` needs a run folder")

        def on_step(self, metrics):
            with open(self.run.folder / "loss.txt", "a") as file:
                print(metrics["step"], metrics["loss"], file=file)
    ```
    """

    shared_files: ClassVar[tuple[str, ...]] = ()
    """Files that it keeps beside the run folder, for all runs in one."""

    def __init__(self, run: RunInfo) -> None:
        self.run = run
        self.tell: Callable[[str], None] = lambda message: None
        """Tells something as a `sink_notice`, from any thread. Of use after the constructor, when the queue listens."""

    def close(self) -> None:
        """Called once, last, on the sink's own thread."""
