"""The sink `tensorboard`, read back with TensorBoard's own reader."""

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from alpha_core.errors import UsageError
from alpha_core.observer import Event, MetricSink, RunInfo, Sample
from alpha_report.tensorboard_sink import TensorBoardSink
from alpha_testkit import SinkConformance


class TestTensorBoard(SinkConformance):
    sink_class = TensorBoardSink


def report(run: RunInfo, steps: range, loss: float) -> None:
    sink: MetricSink = TensorBoardSink(run)
    sink.on_start(run)
    for step in steps:
        more: dict[str, Any] = {"valLoss": 9.0} if step % 2 == 0 else {}
        sink.on_step({"step": step, "loss": loss + step, "per_layer_grad_norms": {"wte": 0.5}, "note": "text", **more})
    sink.on_samples(2, [Sample(prompt="a", output="b\n# c"), Sample(prompt="", output="d")])
    sink.on_event(Event(kind="eval_summary", message="of no interest", step=2))
    sink.on_event(Event(kind="spike_skip", message="too steep", step=3, level="warning"))
    sink.on_finish({"status": "completed", "step": steps[-1]})
    sink.close()


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def scalars(found: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(tag)]


def texts(found: EventAccumulator, tag: str) -> list[tuple[int, str]]:
    return [(event.step, event.tensor_proto.string_val[0].decode()) for event in found.Tensors(f"{tag}/text_summary")]


def test_what_was_written_is_what_tensorboard_reads(run: RunInfo) -> None:
    report(run, range(1, 5), 1.0)
    assert run.folder is not None
    found = read(run.folder)
    assert sorted(found.Tags()["scalars"]) == ["loss", "per_layer_grad_norms/wte", "valLoss"]
    assert scalars(found, "loss") == [(1, 2.0), (2, 3.0), (3, 4.0), (4, 5.0)]
    assert scalars(found, "valLoss") == [(2, 9.0), (4, 9.0)]
    assert texts(found, "samples/1") == [(2, "    ab\n    # c")]
    assert texts(found, "samples/2") == [(2, "    d")]
    assert texts(found, "events/spike_skip") == [(3, "    too steep")]
    assert '"domain": "novels"' in texts(found, "config")[0][1]


def test_a_resumed_run_takes_the_place_of_steps_that_it_takes_again(run: RunInfo) -> None:
    report(run, range(1, 7), 1.0)
    resumed = RunInfo(run_id=run.run_id, folder=run.folder, config={}, parameters=1, iters=8, start_step=4)
    report(resumed, range(5, 9), 100.0)
    assert run.folder is not None
    assert scalars(read(run.folder), "loss") == [
        *[(step, 1.0 + step) for step in range(1, 5)],
        *[(step, 100.0 + step) for step in range(5, 9)],
    ]


def test_a_run_without_a_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a run folder"):
        TensorBoardSink(RunInfo(run_id="r", folder=None, config={}, parameters=1, iters=1))
