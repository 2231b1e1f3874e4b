"""What an attempt is worth: ok, unstable, smoke_fail or failed, and why."""

from collections.abc import Sequence
from enum import IntEnum

import attrs
import numpy as np

from alpha_bench.loop.attempt import Measurement
from alpha_bench.statistics import Summary

__all__ = ["SPREAD", "Outcome", "Status", "best_of", "classify"]

SPREAD = 0.1
"""Above this the middle half of the step times lies too far apart for their median to mean much."""


class Status(IntEnum):
    """Better ones are greater."""

    failed = 0
    """No measurement, or a loss that is not finite."""
    smoke_fail = 1
    """It ran, and what it computed is wrong: an op, or a loss that does not fall."""
    unstable = 2
    """It works, and steps were skipped or their times are too far apart."""
    ok = 3


@attrs.frozen(kw_only=True)
class Outcome:
    """An attempt with its class."""

    status: Status
    reasons: tuple[str, ...]
    """Why it is no better."""
    measurement: Measurement | None

    @property
    def summary(self) -> Summary | None:
        """Of the seconds of a step."""
        return Summary.of(self.measurement.step_seconds) if self.measurement is not None else None

    @property
    def tokens_per_second(self) -> float:
        """By the median step; 0 without a measurement."""
        if self.measurement is None or self.summary is None:
            return 0.0
        return self.measurement.tokens_per_step / self.summary.median


def classify(found: Measurement | str, *, spread: float = SPREAD) -> Outcome:
    """Returns the outcome of what `attempt` returned."""
    if isinstance(found, str):
        return Outcome(status=Status.failed, reasons=(found,), measurement=None)
    losses = [loss for loss in found.losses if loss is not None]
    if len(losses) < len(found.losses):
        return Outcome(
            status=Status.failed,
            reasons=(f"the loss of {len(found.losses) - len(losses)} steps is not finite",),
            measurement=None,
        )
    wrong = [f"`{op}` computes wrong values" for op in found.wrong_values]
    quarter = max(1, len(losses) // 4)
    before, after = float(np.mean(losses[:quarter])), float(np.mean(losses[-quarter:]))
    if after >= before:
        wrong.append(f"the loss does not fall: {before:.4f} at first, {after:.4f} in the end")
    if wrong:
        return Outcome(status=Status.smoke_fail, reasons=tuple(wrong), measurement=found)
    shaky = [f"{found.skipped_steps} steps were skipped"] if found.skipped_steps else []
    measured = Summary.of(found.step_seconds).spread
    if measured > spread:
        shaky.append(f"the middle half of the step times spreads over {measured:.0%} of the median")
    return Outcome(status=Status.unstable if shaky else Status.ok, reasons=tuple(shaky), measurement=found)


def best_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Returns the outcome of the best class: ok > unstable > smoke_fail > failed; of equals the faster one."""
    return max(outcomes, key=lambda outcome: (outcome.status, outcome.tokens_per_second))
