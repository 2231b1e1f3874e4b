"""The search: coordinate descent or the whole grid, until the time is up."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import attrs

from alpha_bench.loop.outcome import Outcome, Status
from alpha_bench.tune.candidate import Candidate, Dimension

__all__ = ["Trial", "best_trial", "search"]

LEAST_GAIN = 1.01
"""A candidate takes the lead only if it is faster by this: smaller gains are noise that is chosen for being noise."""


@attrs.frozen(kw_only=True)
class Trial:
    """A candidate that was measured."""

    candidate: Candidate
    outcome: Outcome

    @property
    def speed(self) -> float:
        """Tokens a second, 0 unless it is ok."""
        return self.outcome.tokens_per_second if self.outcome.status is Status.ok else 0.0


Measure = Callable[[Candidate], Outcome]


def search(
    start: Candidate,
    dimensions: Sequence[Dimension],
    measure: Measure,
    *,
    grid: bool,
    time_left: Callable[[], bool],
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Returns what was measured, in order, the start first; no candidate twice.

    Coordinate descent tries every value of one dimension after the other, each time from the fastest candidate so far,
    and begins again until a whole round has found nothing faster. Candidates that are not ok never take the lead.
    """
    trials: dict[Candidate, Trial] = {}

    def tried(candidate: Candidate) -> Trial:
        if candidate not in trials:
            trials[candidate] = Trial(candidate=candidate, outcome=measure(candidate))
            on_trial(trials[candidate])
        return trials[candidate]

    leader = tried(start)
    if grid:
        for candidate in _grid(start, dimensions):
            if not time_left():
                break
            tried(candidate)
        return list(trials.values())
    improved = True
    while improved:
        improved = False
        for dimension in dimensions:
            base = leader.candidate
            for value in dimension.values:
                candidate = base.with_value(dimension.name, value)
                if candidate not in trials and not time_left():
                    return list(trials.values())
                trial = tried(candidate)
                if trial.speed > leader.speed * LEAST_GAIN:
                    leader, improved = trial, True
    return list(trials.values())


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Returns the fastest trial that is ok, the start unless another one is clearly faster; None if none is ok."""
    leader: Trial | None = None
    for trial in trials:
        if trial.speed > (leader.speed * LEAST_GAIN if leader is not None else 0.0):
            leader = trial
    return leader


def _grid(start: Candidate, dimensions: Sequence[Dimension]) -> Iterator[Candidate]:
    for values in product(*(dimension.values for dimension in dimensions)):
        candidate = start
        for dimension, value in zip(dimensions, values, strict=True):
            candidate = candidate.with_value(dimension.name, value)
        yield candidate
