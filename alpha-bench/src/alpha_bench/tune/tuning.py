"""A tuning run: measures the candidates, checks the winner against the start, and makes the profile."""

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from alpha_bench import __version__
from alpha_bench.loop.attempt import attempt
from alpha_bench.loop.outcome import Outcome, Status, classify
from alpha_bench.tune.candidate import Candidate, Dimension
from alpha_bench.tune.search import Trial, best_trial, search
from alpha_core.config import RunConfig
from alpha_core.config.profile import Profile
from alpha_core.knob import knob_texts

__all__ = ["TuneOptions", "TuneResult", "profile_of", "tune"]

_CHECKS = 2


@attrs.frozen(kw_only=True)
class TuneOptions:
    """How candidates are measured."""

    budget: float = 120.0
    """Seconds after which no new candidate is begun; the check of the winner comes on top."""
    grid: bool = False
    """Whether every combination is tried."""
    steps: int = 10
    warmup: int = 2
    timeout: float = 300.0
    """Seconds for one candidate."""
    spread: float = 0.2
    """Largest spread of step times; more than in `alpha bench loop`, for candidates have fewer steps."""


@attrs.frozen(kw_only=True)
class TuneResult:
    """What was found. The winner is the start where nothing was faster, and None where nothing was ok."""

    trials: Sequence[Trial]
    winner: Trial | None
    gain: float
    """Speed of the winner as a multiple of the start's, both measured again in turns; 1 for the start itself."""

    def to_json(self) -> dict[str, Any]:
        return {
            "trials": [_trial_json(trial) for trial in self.trials],
            "winner": _trial_json(self.winner) if self.winner is not None else None,
            "gain": self.gain,
        }


def tune(
    config: RunConfig,
    start: Candidate,
    dimensions: Sequence[Dimension],
    options: TuneOptions,
    *,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    clock: Callable[[], float] = time.monotonic,
) -> TuneResult:
    """Measures candidates, each in a process of its own, and returns the fastest one that is ok."""
    end = clock() + options.budget

    def measure(candidate: Candidate) -> Outcome:
        found = attempt(
            candidate.configured(config), steps=options.steps, warmup=options.warmup, timeout=options.timeout
        )
        return classify(found, spread=options.spread)

    trials = search(start, dimensions, measure, grid=options.grid, time_left=lambda: clock() < end, on_trial=on_trial)
    first, best = trials[0], best_trial(trials)
    if best is None or best is first:
        return TuneResult(trials=trials, winner=best, gain=1.0)
    if first.outcome.status is not Status.ok:  # nothing to hold it against
        return TuneResult(trials=trials, winner=best, gain=1.0)
    gain = _checked_gain(first.candidate, best.candidate, measure)
    if gain <= 1.0:  # the fastest of many is often only the luckiest
        return TuneResult(trials=trials, winner=first, gain=1.0)
    return TuneResult(trials=trials, winner=best, gain=gain)


def profile_of(winner: Trial) -> Profile:
    """Returns the profile that `alpha train --profile` reads."""
    found, candidate = winner.outcome.measurement, winner.candidate
    assert found is not None
    return Profile(
        backend=found.backend,
        device=found.device,
        version=__version__,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        tokens_per_second=round(winner.outcome.tokens_per_second, 1),
        train={
            "batch_size": candidate.batch_size,
            "accum_steps": candidate.accum_steps,
            **({"knobs": list(knob_texts(candidate.knobs))} if candidate.knobs else {}),
        },
    )


def _checked_gain(start: Candidate, best: Candidate, measure: Callable[[Candidate], Outcome]) -> float:
    """Measures both again, in turns; 0 if one of the winner's is not ok."""
    speeds: dict[Candidate, list[float]] = {start: [], best: []}
    for _ in range(_CHECKS):
        for candidate in (start, best):
            outcome = measure(candidate)
            if outcome.status is not Status.ok and candidate == best:
                return 0.0
            speeds[candidate].append(outcome.tokens_per_second)
    before = statistics.median(speeds[start])
    return statistics.median(speeds[best]) / before if before else 0.0


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "batch_size": trial.candidate.batch_size,
        "accum_steps": trial.candidate.accum_steps,
        "knobs": dict(trial.candidate.knobs),
        "status": trial.outcome.status.name,
        "reasons": list(trial.outcome.reasons),
        "tokens_per_second": trial.outcome.tokens_per_second,
    }
