"""Tracing steps of training."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.train.helpers import make_trainer
from tests.train.tuned_backend import TunedRef

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_core.descriptors import BackendInfo
from alpha_core.errors import UsageError
from alpha_core.trace import Span
from alpha_train import start_run
from alpha_train.trace import Tracer, totals, write_chrome_trace
from alpha_train.trace_text import trace_lines

MakeConfig = Callable[..., RunConfig]


@pytest.fixture
def backend(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> TunedRef:
    backend = TunedRef()
    info = BackendInfo(name="cpu_ref", summary="For a test.", load=lambda: backend)
    monkeypatch.setattr(plugins.backends, "get", lambda name: info)
    return backend


def test_phases_and_kernels_of_the_chosen_steps_are_noted(
    make_config: MakeConfig, plugins: Plugins, backend: TunedRef
) -> None:
    tracer = Tracer(3, 5)
    start_run(make_config(iters=8, accum_steps=2, eval_interval=4, sample_interval=5), plugins, tracer=tracer)
    assert (tracer.steps, backend.traces, backend.spans) == (3, 1, None)
    calls = {total.name: total.calls for total in totals(tracer.phases)}
    assert calls == {"data": 6, "accumulate": 6, "update": 3, "evaluate": 1, "sample": 1, "checkpoint": 1}
    assert {span.name for span in tracer.kernels} == {"matmul"}
    accumulating = [span for span in tracer.phases if span.name == "accumulate"]
    assert all(span.flops == accumulating[0].flops > 0 for span in accumulating)
    first, last = min(s.start for s in tracer.phases), max(s.start + s.duration for s in tracer.phases)
    assert all(first <= span.start <= span.start + span.duration <= last for span in tracer.kernels)
    assert sum(span.duration for span in tracer.phases) <= tracer.seconds


def test_nothing_is_asked_of_the_backend_without_a_trace(
    make_config: MakeConfig, plugins: Plugins, backend: TunedRef
) -> None:
    start_run(make_config(iters=6), plugins)
    assert backend.traces == 0


def test_a_run_that_ends_early_leaves_what_there_was(
    make_config: MakeConfig, plugins: Plugins, backend: TunedRef
) -> None:
    tracer = Tracer(3, 50)
    start_run(make_config(iters=4), plugins, tracer=tracer)
    assert tracer.steps == 2
    assert backend.spans is None
    late = Tracer(5, 14)
    start_run(make_config(iters=4), plugins, tracer=late)
    assert list(trace_lines(late)) == [
        "nothing was traced: the run ended before step 5 of those that it took this time"
    ]


@pytest.mark.parametrize("steps", [(0, 3), (4, 3)])
def test_a_range_without_steps_is_refused(steps: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="cannot be traced"):
        Tracer(*steps)


def test_the_table_has_shares_and_rates() -> None:
    tracer = Tracer(1, 2)
    backend = make_trainer().backend
    for _ in range(2):
        tracer.begin_step(backend)
        tracer.end_step(backend)
    tracer.seconds = 4.0
    tracer.phases = [Span("accumulate", "training", 0.0, 3.0, 6_000_000_000), Span("update", "training", 3.0, 0.5)]
    tracer.kernels = [Span(f"kernel {i}", "thread 0", 0.0, 0.01 * (i + 1), 0, 10**9 * (i + 1)) for i in range(50)]
    lines = list(trace_lines(tracer))
    assert lines[0] == "traced: steps 1 to 2 of those that the run took this time, 2e+03 ms a step"
    assert lines[2].split() == ["accumulate", "1", "3000.000", "75.0%", "2.0"]
    assert lines[4].split() == ["(between)", "2", "500.000", "12.5%"]
    assert lines[7].split() == ["kernel", "49", "1", "500.000", "3.9%", "100.0"]
    assert lines[-1].split()[:3] == ["(10", "others)", "10"]


def test_the_file_is_a_chrome_trace(tmp_path: Path) -> None:
    spans = [
        Span("matmul", "thread 10", 2.001, 0.001, 8, 4),
        Span("matmul", "thread 9", 2.0, 0.002),
        Span("accumulate", "training", 1.999, 0.01),
    ]
    write_chrome_trace(tmp_path / "trace.json", spans)
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert names == {0: "training", 1: "thread 9", 2: "thread 10"}
    assert [event for event in events if event["ph"] == "X"] == [
        {"ph": "X", "name": "accumulate", "pid": 1, "tid": 0, "ts": 0.0, "dur": 10000.0, "args": {}},
        {"ph": "X", "name": "matmul", "pid": 1, "tid": 1, "ts": 1000.0, "dur": 2000.0, "args": {}},
        {
            "ph": "X",
            "name": "matmul",
            "pid": 1,
            "tid": 2,
            "ts": 2000.0,
            "dur": 1000.0,
            "args": {"flops": 8, "bytes": 4},
        },
    ]
