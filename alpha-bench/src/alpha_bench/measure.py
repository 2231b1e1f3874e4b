"""Timing: calls to warm up, then samples until there are enough of them."""

import math
import time
from collections.abc import Callable

import attrs

__all__ = ["Effort", "Timing", "measure"]

Run = Callable[[int], float | None]
"""Does the work so many times and waits for the device; returns the seconds if it knows them better than a watch around
it."""

_LEAST_SAMPLE = 0.005
"""Seconds: shorter samples would measure the clock and the scheduler."""


@attrs.frozen(kw_only=True)
class Effort:
    """How long a case is measured."""

    warmup: int = 2
    least: int = 9
    """Samples at least."""
    most: int = 50
    seconds: float = 1.0
    """Samples go on until this much time was measured, within `least` and `most`."""
    quick: bool = False
    """Whether cases are shrunk, so that a whole suite takes seconds: for tests, never for figures."""

    @classmethod
    def quick_look(cls) -> "Effort":
        return cls(warmup=1, least=3, most=3, seconds=0.0, quick=True)

    def heavy(self) -> "Effort":
        """Returns the effort for a case that takes seconds a call and needs no warm-up."""
        samples = 1 if self.quick else 5
        return attrs.evolve(self, warmup=0, least=samples, most=samples)


@attrs.frozen(kw_only=True)
class Timing:
    """What was measured."""

    samples: list[float]
    """Seconds for one call, in the order of measuring."""
    warmup: int
    calls: int
    """Calls that each sample is the mean of."""
    first: float
    """Seconds of the very first call, with whatever it compiles."""


def measure(run: Run, effort: Effort, clock: Callable[[], float] = time.perf_counter) -> Timing:
    """Measures what `run` does. The first call is always apart, and is no sample unless there is no warm-up at all."""

    def seconds(times: int) -> float:
        began = clock()
        known = run(times)
        return (clock() - began if known is None else known) / times

    warmups = [seconds(1) for _ in range(effort.warmup)]
    samples = [] if warmups else [seconds(1)]
    fastest = min([*warmups, *samples])
    calls = 1
    if warmups and not effort.quick:
        calls = min(1000, max(1, math.ceil(_LEAST_SAMPLE / max(fastest, 1e-9))))
    first = (warmups or samples)[0]
    spent = sum(samples)
    while len(samples) < effort.least or (spent < effort.seconds and len(samples) < effort.most):
        samples.append(seconds(calls))
        spent += samples[-1] * calls
    return Timing(samples=samples, warmup=effort.warmup, calls=calls, first=first)
