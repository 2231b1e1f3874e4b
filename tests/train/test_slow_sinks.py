"""Slow sinks do not slow training: measured on whole runs, with and without one in turns."""

import statistics
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_core.descriptors import MetricSinkInfo
from alpha_core.observer import Event, MetricSink, Observer, RunInfo
from alpha_train import start_run
from alpha_train.observers import Observers
from alpha_train.sink_queue import SinkQueue

STEPS = 60


class SleepingSink(MetricSink):
    """Takes a second for every call."""

    def on_start(self, run: RunInfo) -> None:
        time.sleep(1.0)

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        time.sleep(1.0)

    def on_event(self, event: Event) -> None:
        time.sleep(1.0)


class Clock(Observer):
    """Notes when each step is done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self.times.append(time.perf_counter())

    @property
    def steps(self) -> list[float]:
        """Seconds from one step to the next."""
        return [later - earlier for earlier, later in pairwise(self.times)]


def quick_step(seconds: list[float]) -> float:
    """The lower quartile: what a step takes where the machine does nothing else."""
    return statistics.quantiles(seconds, n=4)[0]


def test_a_sink_that_sleeps_a_second_per_call_does_not_slow_a_step(
    make_config: Callable[..., RunConfig], plugins: Plugins
) -> None:
    info = MetricSinkInfo(name="sleeping", summary="", load=lambda: SleepingSink, finish_seconds=0.05)
    config = make_config(iters=STEPS, eval_interval=0, sinks=())
    told: list[Event] = []
    without, with_sink = Clock(), Clock()
    taken: list[float] = []
    for _ in range(2):
        start_run(config, plugins, observer=without)
        began = time.perf_counter()
        start_run(config, plugins, observer=Observers(SinkQueue([info], capacity=8, on_problem=told.append), with_sink))
        taken.append(time.perf_counter() - began)
    usual = quick_step(without.steps)
    slower = quick_step(with_sink.steps) - usual
    print(f"a step takes {1e3 * usual:.3f} ms, and with the sink {1e6 * slower:+.0f} us")
    assert slower < 0.05  # seconds, of a sink that takes one; beside other tests a step may take twice its time
    assert max(taken) < STEPS / 2
    assert [event.kind for event in told] == ["sink_slow", "sink_unfinished"] * 2
