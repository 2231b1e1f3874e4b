"""Two reports, case by case: which is faster, as far as noise lets one tell.

A verdict needs that the bootstrap interval of the ratio of medians lies beyond two things: a floor, because processes
differ (memory layout, addresses) in ways that do not show within one; and what the gauge says the machine itself
changed by. Decision 0025 has the numbers.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import attrs
import numpy as np

from alpha_bench.report import Report
from alpha_bench.result import OK, Result

__all__ = ["FLOOR", "CaseComparison", "Comparison", "Verdict", "compare_reports", "compare_samples"]

FLOOR = 0.03
"""Smaller differences are not told from noise, however sure the interval is."""
_LEAST_SAMPLES = 5
_CONFIDENCE = 0.99
"""Of the interval: with a hundred cases, 0.95 would call five of them wrong."""
_RESAMPLES = 4000
_LARGEST_DRIFT = 1.25
"""By more the machine itself must not have changed: nobody knows by how much each case follows it."""


class Verdict(StrEnum):
    """What can be said of the second one."""

    faster = "faster"
    slower = "slower"
    same = "no difference seen"
    unknown = "not comparable"


@attrs.frozen(kw_only=True)
class Comparison:
    """The second time as a multiple of the first."""

    verdict: Verdict
    ratio: float | None = None
    """Of the medians; above 1 the second is slower."""
    low: float | None = None
    high: float | None = None
    """The bootstrap interval of the ratio."""
    reason: str | None = None
    """Why they are not comparable."""

    def to_json(self) -> dict[str, Any]:
        return {**attrs.asdict(self), "verdict": self.verdict.value}


@attrs.frozen(kw_only=True)
class CaseComparison:
    """A case in two reports."""

    key: tuple[str, str, str]
    comparison: Comparison
    first: Result | None
    second: Result | None

    def to_json(self) -> dict[str, Any]:
        suite, id, implementation = self.key
        return {
            "suite": suite,
            "id": id,
            "implementation": implementation,
            "first_median": self.first.median if self.first is not None else None,
            "second_median": self.second.median if self.second is not None else None,
            **self.comparison.to_json(),
        }


def compare_samples(
    first: Sequence[float], second: Sequence[float], *, floor: float = FLOOR, drift: tuple[float, float] = (1.0, 1.0)
) -> Comparison:
    """Compares two rows of times. Fewer than 5 on either side are not comparable.

    `drift` is between which ratios the machine itself may have changed. A difference counts beyond it, and beyond
    `floor` on top.
    """
    fewest = min(len(first), len(second))
    if fewest < _LEAST_SAMPLES:
        return Comparison(verdict=Verdict.unknown, reason=f"{fewest} samples; {_LEAST_SAMPLES} are needed")
    low, high = _interval(first, second)
    ratio = float(np.median(second) / np.median(first))
    if low > max(1.0, drift[1]) * (1 + floor):
        verdict = Verdict.slower
    elif high < min(1.0, drift[0]) / (1 + floor):
        verdict = Verdict.faster
    else:
        verdict = Verdict.same
    return Comparison(verdict=verdict, ratio=ratio, low=low, high=high)


def _interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Returns the bootstrap interval (Efron 1979) of the ratio of medians, the same at every call."""
    generator = np.random.default_rng(0)
    medians = [
        np.median(generator.choice(np.asarray(samples), (_RESAMPLES, len(samples))), axis=1)
        for samples in (second, first)
    ]
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(medians[0] / medians[1], (tail, 1 - tail)).tolist()
    return low, high


def _drift(first: Result, second: Result) -> tuple[float, float] | str:
    """Returns between which ratios the machine changed, by both gauges; or in words that it changed too much."""
    lowest, highest = 1.0, 1.0
    for name in first.gauge.keys() & second.gauge.keys():
        before, after = first.gauge[name], second.gauge[name]
        ratio = float(np.median(after) / np.median(before))
        if not 1 / _LARGEST_DRIFT <= ratio <= _LARGEST_DRIFT:
            return f"the machine itself took {ratio:.2f} times as long in the second report (gauge `{name}`)"
        low, high = _interval(before, after)
        lowest, highest = min(lowest, low), max(highest, high)
    return lowest, highest


def compare_reports(first: Report, second: Report, *, floor: float = FLOOR) -> list[CaseComparison]:
    """Compares every case that is in either report, in the order of the first."""
    of_first = {result.key: result for result in first.results}
    of_second = {result.key: result for result in second.results}
    reasons = first.machine.differences(second.machine)
    if first.quick or second.quick:
        reasons.append("shrunk cases (`--quick`)")
    return [
        CaseComparison(
            key=key,
            comparison=_compare(of_first.get(key), of_second.get(key), reasons, floor),
            first=of_first.get(key),
            second=of_second.get(key),
        )
        for key in dict.fromkeys([*of_first, *of_second])
    ]


def _compare(first: Result | None, second: Result | None, reasons: Sequence[str], floor: float) -> Comparison:
    if first is None or second is None:
        missing = "first" if first is None else "second"
        return Comparison(verdict=Verdict.unknown, reason=f"not in the {missing} report")
    problems = [*reasons, *_differences(first, second)]
    problems += [
        f"{result.status} in the {which} report"
        for which, result in (("first", first), ("second", second))
        if result.status != OK
    ]
    drift = _drift(first, second)
    if isinstance(drift, str):
        problems.append(drift)
    if problems or isinstance(drift, str):
        return Comparison(verdict=Verdict.unknown, reason="; ".join(problems))
    return compare_samples(first.samples, second.samples, floor=floor, drift=drift)


def _differences(first: Result, second: Result) -> list[str]:
    """Returns in which parameters two results differ."""
    a, b = first.parameters, second.parameters
    return [f"`{name}` is `{a.get(name)}` and `{b.get(name)}`" for name in {**a, **b} if a.get(name) != b.get(name)]
