"""Measures several entrants on one case in turns, A B A B, so that a noisy machine is equally noisy to all."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import attrs

from alpha_bench.result import FAILED, Result
from benchmarks.case import Case
from benchmarks.entrant import Entrant
from benchmarks.worker import Measurement, Worker, WorkerError

__all__ = ["Contest", "compete"]

Open = Callable[[Entrant], Worker]
"""Starts an entrant's worker. Raises `WorkerError` if that is impossible."""


@attrs.define
class _Turn:
    """An entrant as the contest goes on."""

    entrant: Entrant
    worker: Worker | None = None
    versions: Mapping[str, str] = attrs.field(factory=dict)
    rounds: list[Measurement] = attrs.field(factory=list)
    failure: str | None = None


@attrs.frozen(kw_only=True)
class Contest:
    """How contests are held."""

    open: Open
    rounds: int = 5
    trial_rounds: int = 2
    """Rounds in which the fastest of a group is found, at most `rounds`."""
    seconds: float = 1.5
    """Least time of a turn in a round."""
    tell: Callable[[str], None] = print

    def hold(self, case: Case, alpha: Entrant, groups: Sequence[Sequence[Entrant]]) -> list[Result]:
        """Returns the results of Alpha and the fastest entrant of each group, and those of the trials that chose it.

        The fastest is the one with the fastest round: what it can do when nothing else disturbs it.
        """
        trials: list[Result] = []
        chosen: list[Entrant] = []
        for group in groups:
            if len(group) == 1:
                chosen.append(group[0])
                continue
            found = compete(case, group, attrs.evolve(self, rounds=min(self.rounds, self.trial_rounds)))
            best = min(range(len(group)), key=lambda place: min(found[place].samples, default=math.inf))
            chosen.append(group[best])
            trials += [_trial(result) for result in found]
        return [*compete(case, [alpha, *chosen], self), *trials]


def _trial(result: Result) -> Result:
    """Returns the result of an entrant that was not alone with its name."""
    name = f"{result.implementation}, {result.extra['settings']}"
    return attrs.evolve(result, suite=f"{result.suite} trials", implementation=name)


def compete(case: Case, entrants: Sequence[Entrant], contest: Contest) -> list[Result]:
    """Returns a result for each entrant: a sample for each round, the median of the round's repetitions.

    Only one worker computes at a time. One that fails is out, with its reason; the others go on.
    """
    turns = [_Turn(entrant) for entrant in entrants]
    with ExitStack() as stack:
        for turn in turns:
            contest.tell(f"{case.suite} {case.id}: {turn.entrant.name} ({turn.entrant.describe()}) gets ready")
            try:
                turn.worker = stack.enter_context(contest.open(turn.entrant))
                turn.versions = turn.worker.prepare(case)
            except WorkerError as error:
                turn.failure = str(error)
        for _ in range(contest.rounds):
            for turn in turns:
                if turn.worker is None or turn.failure is not None:
                    continue
                try:
                    seconds = contest.seconds if case.seconds is None else case.seconds
                    measurement = turn.worker.measure(case.repetitions, seconds)
                    turn.failure = _doubt(case, measurement.facts)
                    turn.rounds.append(measurement)
                except WorkerError as error:
                    turn.failure = str(error)
    for turn in turns:
        outcome = turn.failure or f"{statistics.median(_samples(turn)):.5g} s"
        contest.tell(f"{case.suite} {case.id}: {turn.entrant.name}: {outcome}")
    return [_result(case, turn) for turn in turns]


def _doubt(case: Case, facts: Mapping[str, Any]) -> str | None:
    """Returns why it is doubtful that the work was done, or None."""
    for name, (value, tolerance) in case.expected.items():
        found = facts.get(name, math.nan)
        if not abs(found - value) <= tolerance:
            return f"{name} is {found}, where {value:.4g} was expected"
    return None


def _samples(turn: _Turn) -> list[float]:
    return [statistics.median(measurement.samples) for measurement in turn.rounds]


def _result(case: Case, turn: _Turn) -> Result:
    entrant = turn.entrant
    extra: dict[str, Any] = {"settings": entrant.describe(), **turn.versions, **entrant.settings}
    if turn.failure is not None:
        return Result(
            suite=case.suite,
            id=case.id,
            implementation=entrant.name,
            parameters=case.parameters,
            status=FAILED,
            reason=turn.failure,
            extra=extra,
        )
    return Result.of(
        suite=case.suite,
        id=case.id,
        implementation=entrant.name,
        parameters=case.parameters,
        samples=_samples(turn),
        work=case.work,
        extra={**extra, **turn.rounds[-1].facts},
        memory_peak_bytes=turn.rounds[-1].memory_peak_bytes,
    )
