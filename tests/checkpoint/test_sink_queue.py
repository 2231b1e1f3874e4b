"""The sink queue: whatever a sink does, training goes on, and the sink is named."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from alpha_core.descriptors import MetricSinkInfo
from alpha_core.observer import Event, MetricSink, RunInfo, Sample
from alpha_train.jsonl_sink import JsonlSink
from alpha_train.sink_queue import SinkQueue

RUN = RunInfo(run_id="r", folder=None, config={}, parameters=1, iters=10, start_step=5)


class ListSink(MetricSink):
    """Remembers the calls of its latest instance."""

    calls: ClassVar[list[tuple[Any, ...]]] = []
    thread: threading.Thread

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        type(self).calls = [("made", run.run_id)]
        type(self).thread = threading.current_thread()

    def on_start(self, run: RunInfo) -> None:
        self.calls.append(("start", run.run_id))

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self.calls.append(("step", metrics["step"]))

    def on_event(self, event: Event) -> None:
        self.calls.append(("event", event.kind, event.payload.get("sink")))

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        self.calls.append(("samples", step, *(sample.output for sample in samples)))

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        self.calls.append(("finish", summary["status"]))

    def close(self) -> None:
        self.calls.append(("close",))


class SlowSink(MetricSink):
    """Takes a second for every step."""

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        time.sleep(1.0)


class HangingSink(MetricSink):
    """Never comes back from `close`."""

    def close(self) -> None:
        threading.Event().wait()


class FailingSink(MetricSink):
    """Fails where its subclasses say."""

    error: BaseException = RuntimeError("no space\nleft")
    place = "on_step"
    closed = False

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        self.fail("starting")

    def fail(self, place: str) -> None:
        if place == self.place:
            raise self.error

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self.fail("on_step")

    def close(self) -> None:
        type(self).closed = True
        self.fail("close")


def info(kind: type[MetricSink], name: str = "", finish_seconds: float = 10.0) -> MetricSinkInfo:
    return MetricSinkInfo(name=name or kind.__name__, summary="", load=lambda: kind, finish_seconds=finish_seconds)


class Problems(list[Event]):
    """Collects problems, and the threads that told them."""

    def __call__(self, event: Event) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.append(event)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event.kind, event.payload["sink"]) for event in self]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


@pytest.fixture
def problems() -> Problems:
    ListSink.calls = []
    return Problems()


def test_a_sink_receives_everything_in_order_on_a_thread_of_its_own(problems: Problems) -> None:
    queue = SinkQueue([info(ListSink)], on_problem=problems)
    queue.on_start(RUN)
    metrics = {"step": 6}
    queue.on_step(metrics)
    metrics["step"] = 0
    queue.on_event(Event(kind="note", message="", step=6))
    queue.on_samples(6, [Sample(prompt="", output="text")])
    queue.on_finish({"status": "completed"})
    assert ListSink.calls == [
        ("made", "r"),
        ("start", "r"),
        ("step", 6),
        ("event", "note", None),
        ("samples", 6, "text"),
        ("finish", "completed"),
        ("close",),
    ]
    assert ListSink.thread is not threading.main_thread()
    assert not ListSink.thread.is_alive()
    assert problems == []
    assert queue.lost == {}


@pytest.mark.parametrize("error", [RuntimeError("no space\nleft"), SystemExit(1)])
@pytest.mark.parametrize("place", ["starting", "on_step"])
def test_a_failing_sink_is_switched_off_and_named_once(
    problems: Problems, monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException
) -> None:
    monkeypatch.setattr(FailingSink, "place", place)
    monkeypatch.setattr(FailingSink, "error", error)
    monkeypatch.setattr(FailingSink, "closed", False)
    queue = SinkQueue([info(FailingSink), info(ListSink)], on_problem=problems)
    queue.on_start(RUN)
    for step in range(6, 20):
        queue.on_step({"step": step})
        wait_until(lambda step=step: ("step", step) in ListSink.calls)  # type: ignore[misc]
    queue.on_finish({"status": "completed"})
    assert problems.told == [("sink_failed", "FailingSink")]
    assert f"failed in `{place}` and is switched off" in problems[0].message
    assert "\n" not in problems[0].message
    assert problems[0].level == "warning"
    assert 5 <= problems[0].step < 20
    assert ListSink.calls.count(("event", "sink_failed", "FailingSink")) == 1
    assert [call for call in ListSink.calls if call[0] == "step"] == [("step", step) for step in range(6, 20)]
    assert FailingSink.closed is (place == "on_step")
    assert queue.lost == {}


def test_a_sink_that_fails_to_close_is_named(problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FailingSink, "place", "close")
    queue = SinkQueue([info(FailingSink)], on_problem=problems)
    queue.on_start(RUN)
    queue.on_finish({"status": "completed"})
    assert problems.told == [("sink_failed", "FailingSink")]


def test_a_sink_that_cannot_be_loaded_is_named(problems: Problems) -> None:
    def load() -> type[MetricSink]:
        raise ImportError("no module named `x`")

    with SinkQueue([MetricSinkInfo(name="x", summary="", load=load)], on_problem=problems) as queue:
        queue.on_start(RUN)
    assert "ImportError: no module named `x`" in problems[0].message


def test_a_slow_sink_loses_what_does_not_fit_and_never_slows_training(problems: Problems) -> None:
    queue = SinkQueue([info(SlowSink, finish_seconds=0.1), info(ListSink)], capacity=10, on_problem=problems)
    queue.on_start(RUN)
    spent = 0.0
    for step in range(100):
        began = time.perf_counter()
        queue.on_step({"step": step})
        spent += time.perf_counter() - began
        wait_until(lambda step=step: ("step", step) in ListSink.calls)  # type: ignore[misc]
    assert spent < 0.9  # less than one call of the sink takes
    assert problems.told == [("sink_slow", "SlowSink")]
    assert 80 <= queue.lost["SlowSink"] < 100
    began = time.perf_counter()
    queue.on_finish({"status": "completed"})
    assert time.perf_counter() - began < 5  # the sink would take ten
    assert problems.told == [("sink_slow", "SlowSink"), ("sink_unfinished", "SlowSink")]
    assert ListSink.calls[-2:] == [("finish", "completed"), ("close",)]


def test_a_sink_that_hangs_is_left_behind_and_named(problems: Problems) -> None:
    with SinkQueue([info(HangingSink, finish_seconds=0.1), info(ListSink)], on_problem=problems) as queue:
        queue.on_start(RUN)
        began = time.perf_counter()
        queue.on_finish({"status": "completed"})
        assert time.perf_counter() - began < 5
    assert problems.told == [("sink_unfinished", "HangingSink")]
    assert "did not finish within 0.1 s" in problems[0].message
    assert ListSink.calls[-1] == ("close",)


def test_a_sink_left_behind_stops_after_the_call_that_it_is_in() -> None:
    handled: list[int] = []
    entered, released, closed = threading.Event(), threading.Event(), threading.Event()

    class Blocked(MetricSink):
        def on_step(self, metrics: Mapping[str, Any]) -> None:
            handled.append(metrics["step"])
            entered.set()
            released.wait()

        def close(self) -> None:
            closed.set()

    queue = SinkQueue([info(Blocked, finish_seconds=0.05)])
    queue.on_start(RUN)
    for step in range(5):
        queue.on_step({"step": step})
    assert entered.wait(5)
    queue.close()
    assert queue.lost == {"Blocked": 4}
    released.set()
    assert closed.wait(5)
    assert handled == [0]


def test_what_a_sink_tells_is_passed_on_in_its_name(problems: Problems) -> None:
    class Teller(MetricSink):
        def on_start(self, run: RunInfo) -> None:
            self.tell("the server is away")

    with SinkQueue([info(Teller), info(ListSink)], on_problem=problems) as queue:
        queue.on_start(RUN)
        queue.on_step({"step": 6})
    assert problems.told == [("sink_notice", "Teller")]
    assert problems[0].message == "metric sink `Teller` says: the server is away"


def test_without_sinks_and_before_the_start_nothing_happens() -> None:
    with SinkQueue([]) as empty, SinkQueue([info(ListSink)]) as not_started:
        empty.on_start(RUN)
        empty.on_step({"step": 1})
        not_started.on_step({"step": 1})
        not_started.close()


def test_a_queue_serves_one_run_after_another() -> None:
    queue = SinkQueue([info(ListSink)])
    for _ in range(2):
        queue.on_start(RUN)
        queue.on_finish({"status": "completed"})
        assert ListSink.calls[-1] == ("close",)


def test_the_jsonl_sink_works_behind_the_queue(tmp_path: Path) -> None:
    run = RunInfo(run_id="r", folder=tmp_path, config={}, parameters=1, iters=10)
    with SinkQueue([info(JsonlSink, "jsonl")]) as queue:
        queue.on_start(run)
        for step in range(100):
            queue.on_step({"step": step})
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 100


def test_a_hanging_sink_does_not_keep_the_process() -> None:
    code = (
        "import threading\n"
        "from alpha_core.descriptors import MetricSinkInfo\n"
        "from alpha_core.observer import MetricSink, RunInfo\n"
        "from alpha_train.sink_queue import SinkQueue\n"
        "class Hanging(MetricSink):\n"
        "    def on_start(self, run): threading.Event().wait()\n"
        "info = MetricSinkInfo(name='h', summary='', load=lambda: Hanging, finish_seconds=0.1)\n"
        "queue = SinkQueue([info])\n"
        "queue.on_start(RunInfo(run_id='r', folder=None, config={}, parameters=1, iters=1))\n"
        "queue.on_finish({'status': 'completed'})\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=10, check=False).returncode == 0
