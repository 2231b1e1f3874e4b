"""The queue between the training thread and the metric sinks, so that no sink can slow or stop training."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from alpha_core.descriptors import MetricSinkInfo
from alpha_core.observer import Event, MetricSink, Observer, RunInfo, Sample
from alpha_core.registry import reason_of

__all__ = ["SinkQueue"]

_Call = tuple[str, tuple[Any, ...]]

_GATHERED = 0.1
"""Seconds for which steps gather before a sink looks again: a thread that wakes takes a core from one that
computes. Whatever is no step is handed on at once."""


class SinkQueue(Observer):
    """Passes what happens in a run to metric sinks, each on a thread of its own behind a bounded queue.

    A sink is made on its thread at `on_start`. One that raises is switched off; one that is slow loses what does not
    fit into its queue; one that does not finish in time is left behind. Each such problem is told once, at the next
    call: `on_problem` is called with an event (`sink_failed`, `sink_slow`, `sink_unfinished`), on the training thread,
    and the sinks that still work receive it too. What a sink tells itself comes as `sink_notice` in the same way. No
    call waits for a sink but the last, `on_finish` or `close`, and that for at most the `finish_seconds` of its
    description.

    ```python
    with SinkQueue(infos, on_problem=lambda event: print(event.message)) as sinks:
        train(..., observer=sinks)
    ```
    """

    def __init__(
        self,
        sinks: Sequence[MetricSinkInfo],
        *,
        capacity: int = 1024,
        on_problem: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """`capacity` is how many records a queue holds."""
        self._infos = tuple(sinks)
        self._capacity = capacity
        self._on_problem = on_problem
        self._workers: list[_Worker] = []
        self._problems: deque[tuple[str, str, str]] = deque()
        self._step = 0

    def __enter__(self) -> "SinkQueue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lost(self) -> dict[str, int]:
        """How many records each sink did not receive, for those that missed any."""
        return {worker.name: worker.lost for worker in self._workers if worker.lost}

    def on_start(self, run: RunInfo) -> None:
        self.close()
        self._step = run.start_step
        self._workers = [_Worker(info, run, self._capacity, self._report) for info in self._infos]
        self._send("on_start", run)

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self._step = metrics["step"]
        self._send("on_step", dict(metrics))  # a copy, for the loop may go on to change its own

    def on_event(self, event: Event) -> None:
        self._send("on_event", event)

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        self._send("on_samples", step, tuple(samples))

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        self._tell()
        for worker in self._workers:
            worker.send("on_finish", (dict(summary),), always=True)
        self.close()

    def close(self) -> None:
        """Lets the sinks handle what they were sent, each for its `finish_seconds` at most, and ends them."""
        began = time.monotonic()
        for worker in self._workers:
            worker.finish()
        for worker in self._workers:
            worker.join(began)
        self._tell()

    def _send(self, method: str, *arguments: Any) -> None:
        self._tell()
        for worker in self._workers:
            worker.send(method, arguments)

    def _report(self, kind: str, sink: str, message: str) -> None:
        """Notes a problem from any thread."""
        self._problems.append((kind, sink, message))

    def _tell(self) -> None:
        """Tells the noted problems, on the training thread."""
        while self._problems:
            kind, sink, message = self._problems.popleft()
            event = Event(
                kind=kind,
                message=f"metric sink `{sink}` {message}",
                step=self._step,
                level="warning",
                payload={"sink": sink},
            )
            for worker in self._workers:
                worker.send("on_event", (event,))
            self._on_problem(event)


class _Worker:
    """The thread of one sink, and the calls that wait for it."""

    def __init__(
        self, info: MetricSinkInfo, run: RunInfo, capacity: int, report: Callable[[str, str, str], None]
    ) -> None:
        self.name = info.name
        self.lost = 0
        self._finish_seconds = info.finish_seconds
        self._capacity = capacity
        self._report = report
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._is_urgent = threading.Event()
        self._is_open = True
        self._is_left_behind = False
        self._thread = threading.Thread(target=self._work, args=(info, run), name=f"sink {info.name}", daemon=True)
        self._thread.start()

    def send(self, method: str, arguments: tuple[Any, ...], *, always: bool = False) -> None:
        """Queues a call; if the queue is full it is lost, unless it must `always` come through."""
        if not self._is_open:
            return
        if always or self._calls.qsize() < self._capacity:
            self._calls.put((method, arguments))
            if method != "on_step" or self._calls.qsize() > self._capacity // 2:
                self._is_urgent.set()
            return
        self.lost += 1
        if self.lost == 1:
            self._report("sink_slow", self.name, "is slower than training and loses what does not fit into its queue")

    def finish(self) -> None:
        """Ends the thread after the calls that are queued."""
        self._is_open = False
        self._calls.put(None)
        self._is_urgent.set()

    def join(self, began: float) -> None:
        """Waits for the thread's end until its time is over, which `began` on the monotonic clock, then reports it and
        leaves it behind."""
        if self._is_left_behind:
            return
        self._thread.join(max(0.0, began + self._finish_seconds - time.monotonic()))
        if self._thread.is_alive():
            self._is_left_behind = True
            waiting = self._calls.qsize() - 1  # without the mark of the end
            self.lost += max(waiting, 0)
            complaint = f"did not finish within {self._finish_seconds:g} s; in all it lost {self.lost} records"
            self._report("sink_unfinished", self.name, complaint)

    def _notice(self, message: str) -> None:
        self._report("sink_notice", self.name, f"says: {message}")

    def _work(self, info: MetricSinkInfo, run: RunInfo) -> None:
        doing = "starting"
        try:
            sink = info.load()(run)
            sink.tell = self._notice
            try:
                while (call := self._calls.get()) is not None and not self._is_left_behind:
                    doing, arguments = call
                    getattr(sink, doing)(*arguments)
                    if self._calls.empty() and self._is_open:
                        self._is_urgent.clear()
                        if self._calls.empty() and self._is_open:
                            self._is_urgent.wait(_GATHERED)
            except BaseException:
                self._close_quietly(sink)
                raise
            doing = "close"
            sink.close()
        except BaseException as error:  # noqa: BLE001 (even SystemExit must not end a sink unnoticed)
            self._is_open = False
            self._report("sink_failed", self.name, f"failed in `{doing}` and is switched off: {reason_of(error)}")

    @staticmethod
    def _close_quietly(sink: MetricSink) -> None:
        with suppress(Exception):  # the first error is the one to report
            sink.close()
