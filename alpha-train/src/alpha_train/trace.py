"""Tracing some steps of training: the phases of the loop, and the kernels of the backend in them."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs

from alpha_core.backend import Backend
from alpha_core.errors import UsageError
from alpha_core.trace import Span
from alpha_train.atomic_file import atomic_write

__all__ = ["FIRST_STEP", "LAST_STEP", "Total", "Tracer", "totals", "untraced", "write_chrome_trace"]

FIRST_STEP, LAST_STEP = 5, 14
"""What is traced by default: the steps before compile, fill caches and touch memory for the first time."""

_TRACK = "training"
_UNTRACED: AbstractContextManager[None] = nullcontext()


class Tracer:
    """Notes what some steps of one call of `train` do, counted from its first step.

    ```python
    tracer = Tracer()
    train(trainer, dataset, config, tracer=tracer)
    write_chrome_trace(Path("trace.json"), tracer.phases + tracer.kernels)
    ```
    """

    def __init__(self, first: int = FIRST_STEP, last: int = LAST_STEP) -> None:
        """Traces the steps `first` to `last`, both included. Raises `UsageError` for a range without a step."""
        if not 1 <= first <= last:
            raise UsageError(f"the steps {first} to {last} cannot be traced", hint="count from 1, and upwards")
        self.first, self.last = first, last
        self.phases: list[Span] = []
        self.kernels: list[Span] = []
        self.steps = 0
        """Number of steps that were traced."""
        self.seconds = 0.0
        """Between the begin of the first and the end of the last of them."""
        self._count = 0
        self._began: float | None = None

    def begin_step(self, backend: Backend) -> None:
        """A step of training begins."""
        self._count += 1
        if self._count == self.first:
            backend.start_trace()
            self._began = time.perf_counter()

    def end_step(self, backend: Backend) -> None:
        """A step has ended, with all that followed it."""
        if self._began is None:
            return
        self.steps += 1
        if self._count == self.last:
            self.finish(backend)

    def finish(self, backend: Backend) -> None:
        """Training has ended, which may be before the last step that was to be traced."""
        if self._began is not None:
            self.seconds = time.perf_counter() - self._began
            self.kernels = backend.stop_trace()
            self._began = None

    def phase(self, name: str, flops: int = 0) -> AbstractContextManager[None]:
        """Returns a context that notes how long it is entered, if the current step is traced."""
        return self._note(name, flops) if self._began is not None else _UNTRACED

    @contextmanager
    def _note(self, name: str, flops: int) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.phases.append(Span(name, _TRACK, start, time.perf_counter() - start, flops))


def untraced(name: str, flops: int = 0) -> AbstractContextManager[None]:
    """Takes the place of `Tracer.phase` where nothing is traced."""
    return _UNTRACED


@attrs.frozen
class Total:
    """All spans of one name."""

    name: str
    calls: int
    seconds: float
    flops: int
    bytes: int


def totals(spans: Iterable[Span]) -> list[Total]:
    """Returns the sums over spans of the same name, the longest first."""
    sums: dict[str, Total] = {}
    for span in spans:
        known = sums.get(span.name, Total(span.name, 0, 0.0, 0, 0))
        sums[span.name] = Total(
            span.name,
            known.calls + 1,
            known.seconds + span.duration,
            known.flops + span.flops,
            known.bytes + span.bytes,
        )
    return sorted(sums.values(), key=lambda total: -total.seconds)


def write_chrome_trace(path: Path, spans: Iterable[Span]) -> None:
    """Writes spans in the Trace Event Format, which Perfetto and `chrome://tracing` show. Raises `UsageError`."""
    spans = sorted(spans, key=lambda span: span.start)
    tracks = {track: number for number, track in enumerate(sorted({span.track for span in spans}, key=_by_number))}
    zero = spans[0].start if spans else 0.0
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": track}}
        for track, number in tracks.items()
    ]
    for span in spans:
        events.append(
            {
                "ph": "X",
                "name": span.name,
                "pid": 1,
                "tid": tracks[span.track],
                "ts": round(1e6 * (span.start - zero), 3),  # microseconds
                "dur": round(1e6 * span.duration, 3),
                "args": {key: count for key, count in (("flops", span.flops), ("bytes", span.bytes)) if count},
            }
        )
    try:
        with atomic_write(path) as file:
            file.write(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}).encode())
    except OSError as error:
        raise UsageError(f"the trace `{path}` cannot be written: {error.strerror}") from error


def _by_number(track: str) -> tuple[bool, str, int]:
    """Sorts the loop first, and `thread 10` after `thread 9`."""
    name, _, number = track.rpartition(" ")
    return track != _TRACK, *((name, int(number)) if number.isdecimal() else (track, 0))
