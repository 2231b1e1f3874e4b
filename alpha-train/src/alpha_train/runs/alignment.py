"""Curves of several runs at the same places, so that they can be subtracted."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from alpha_train.runs.series import AXES, Series
from alpha_train.units import count_text, duration_text

__all__ = ["Alignment", "align", "alignment_rows"]


@attrs.frozen
class Alignment:
    """A metric of several runs over one axis: the y of each run at every x, in the order of the runs."""

    metric: str
    over: str
    runs: tuple[str, ...]
    x: tuple[float, ...]
    y: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "over": self.over,
            "x": list(self.x),
            "values": {run: list(values) for run, values in zip(self.runs, self.y, strict=True)},
            "differences": {run: list(differences) for run, differences in self.differences()},
        }

    def differences(self) -> Iterator[tuple[str, tuple[float, ...]]]:
        """Yields for each run but the first how far it is above the first."""
        first = self.y[0]
        for run, values in zip(self.runs[1:], self.y[1:], strict=True):
            yield run, tuple(value - base for value, base in zip(values, first, strict=True))


def align(series: Sequence[Series], *, over: str, points: int) -> Alignment | None:
    """Returns one metric of several runs at up to `points` places where all of them have values; None if there is none.

    The places are those of the run that has the fewest of them; values in between are on straight lines.
    """
    low = max(line.x[0] for line in series)
    high = min(line.x[-1] for line in series)
    candidates = [[x for x in line.x if low <= x <= high] for line in series]
    places = _thinned(min(candidates, key=len) or max(candidates, key=len), points)
    if not places:
        return None
    y = tuple(tuple(_value_at(line, x) for x in places) for line in series)
    return Alignment(series[0].metric, over, tuple(line.run for line in series), tuple(places), y)


def alignment_rows(alignment: Alignment) -> list[tuple[str, ...]]:
    """Returns a table: the place, the value of each run, and how far each is above the first."""
    head = (AXES[alignment.over], *alignment.runs, *(f"{run} - first" for run in alignment.runs[1:]))
    differences = [values for _, values in alignment.differences()]
    rows = [
        (
            _place(x, alignment.over),
            *(f"{values[index]:.4f}" for values in alignment.y),
            *(f"{values[index]:+.4f}" for values in differences),
        )
        for index, x in enumerate(alignment.x)
    ]
    return [head, *rows]


def _thinned(places: Sequence[float], points: int) -> list[float]:
    """Returns up to `points` of the places, evenly spread, the last among them."""
    if len(places) <= points:
        return list(places)
    if points == 1:
        return [places[-1]]
    return [places[round(index * (len(places) - 1) / (points - 1))] for index in range(points)]


def _value_at(line: Series, x: float) -> float:
    right = bisect_left(line.x, x)
    if line.x[right] == x:
        return line.y[right]
    x0, x1, y0, y1 = line.x[right - 1], line.x[right], line.y[right - 1], line.y[right]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _place(x: float, over: str) -> str:
    if over == "tokens":
        return count_text(x)
    return duration_text(x) if over == "time" else f"{x:g}"
