"""The `jsonl` metric sink: metrics, events and samples as JSON Lines in the run folder."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TextIO

from alpha_core.errors import UsageError
from alpha_core.json_value import json_value
from alpha_core.observer import Event, MetricSink, RunInfo, Sample
from alpha_train.log_file import open_log

__all__ = ["JsonlSink"]


class JsonlSink(MetricSink):
    """Appends to `metrics.jsonl`, `events.jsonl` and `samples.jsonl`, one flushed line for each record.

    Numbers that are not finite, which JSON cannot write, become null. Raises `UsageError` for a run without a folder.
    """

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        if run.folder is None:
            raise UsageError("the sink `jsonl` needs a run folder, and this run has none")
        with ExitStack() as files:
            self._metrics = files.enter_context(open_log(run.folder / "metrics.jsonl"))
            self._events = files.enter_context(open_log(run.folder / "events.jsonl"))
            self._samples = files.enter_context(open_log(run.folder / "samples.jsonl"))
            self._files = files.pop_all()

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        _append(self._metrics, metrics)

    def on_event(self, event: Event) -> None:
        _append(
            self._events,
            {
                "step": event.step,
                "level": event.level,
                "kind": event.kind,
                "message": event.message,
                "payload": event.payload,
                "time": event.time,
            },
        )

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        for index, sample in enumerate(samples):
            row = {"step": step, "idx": index, "prompt": sample.prompt, "output": sample.output}
            _append(self._samples, {**row, "time": sample.time})

    def close(self) -> None:
        self._files.close()


def _append(file: TextIO, record: Mapping[str, Any]) -> None:
    file.write(json.dumps(json_value(record), allow_nan=False) + "\n")
