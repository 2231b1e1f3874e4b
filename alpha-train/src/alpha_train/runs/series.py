"""The curves of runs: a metric over steps, tokens or time."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from alpha_core.config import RunConfig
from alpha_core.errors import DataError, UnknownNameError
from alpha_core.suggest import did_you_mean

__all__ = ["AXES", "Series", "metric_series", "panels_of", "smoothed"]

AXES = {"step": "step", "tokens": "tokens", "time": "time (s)"}
"""What a curve can be drawn over, and what the axis is called."""
SHORT_NAMES = {"val": "valLoss", "grad": "gradNorm", "tok/s": "tokens_per_sec"}
LOSSES = ("loss", "valLoss")
"""Metrics of one unit, which share a panel: nats per token."""


@attrs.frozen
class Series:
    """One metric of one run: y over x, only where y is a finite number."""

    run: str
    metric: str
    x: tuple[float, ...]
    y: tuple[float, ...]


def metric_series(
    run_id: str, rows: Sequence[Mapping[str, Any]], config: RunConfig, metrics: Sequence[str], *, over: str = "step"
) -> list[Series]:
    """Returns a run's curves of some of its metrics, which stand in `rows`, one for each step, ascending.

    A metric that it never logged, but that runs can have, is left out.

    Raises `DataError` for a run without metrics, and `UnknownNameError` for a name that is no metric.
    """
    if not rows:
        raise DataError(
            f"run `{run_id}` has no metrics to show",
            hint="they are written by the sinks `jsonl` and `db`; a run that has just started has none yet",
        )
    known = {*LOSSES, *(key for row in rows for key, value in row.items() if _is_number(value))} - {"step"}
    names = [_named(metric, known) for metric in metrics]
    places = _places(rows, config, over)
    found = []
    for name in dict.fromkeys(names):
        points = [(x, row[name]) for x, row in zip(places, rows, strict=True) if _is_number(row.get(name))]
        if points:
            found.append(Series(run_id, name, *map(tuple, zip(*points, strict=True))))
    return found


def panels_of(series: Sequence[Series]) -> list[tuple[str, list[Series]]]:
    """Returns the curves that are drawn together, by unit, with a title each."""
    panels: dict[str, list[Series]] = {}
    for line in series:
        panels.setdefault("loss" if line.metric in LOSSES else line.metric, []).append(line)
    return [(_title(name, lines), lines) for name, lines in panels.items()]


def smoothed(series: Series, window: int) -> Series:
    """Returns the mean of each value and the `window` - 1 before it (fewer at the beginning)."""
    if window <= 1:
        return series
    total, means = 0.0, []
    for index, value in enumerate(series.y):
        total += value - (series.y[index - window] if index >= window else 0.0)
        means.append(total / min(index + 1, window))
    return attrs.evolve(series, y=tuple(means))


def _named(metric: str, known: set[str]) -> str:
    name = SHORT_NAMES.get(metric, metric)
    if name in known:
        return name
    there_are = ", ".join(f"`{key}`" for key in sorted(known))
    hint = did_you_mean(metric, [*known, *SHORT_NAMES])
    raise UnknownNameError(f"no run has a metric `{metric}`; there are {there_are}", hint=hint)


def _places(rows: Sequence[Mapping[str, Any]], config: RunConfig, over: str) -> list[float]:
    """Returns where on the horizontal axis each row is."""
    if over == "step":
        return [float(row["step"]) for row in rows]
    if over == "tokens":
        tokens = config.train.batch_size * config.train.accum_steps * config.model.block_size
        return [float(row["step"] * tokens) for row in rows]
    seconds, before, last = [], 0.0, 0.0
    for row in rows:
        now = row["elapsed_ms"] / 1000 if _is_number(row.get("elapsed_ms")) else last
        if now < last:  # the run was resumed, and its clock started again
            before += last
        last = now
        seconds.append(before + now)
    return seconds


def _title(name: str, lines: Sequence[Series]) -> str:
    metrics = dict.fromkeys(line.metric for line in lines)
    return f"{' and '.join(metrics)} (nats per token)" if name == "loss" else name


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
