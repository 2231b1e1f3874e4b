"""The numbers among the metrics of a step, as trackers of experiments want them."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

__all__ = ["finite", "flat_config", "scalars_of"]


def scalars_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns the metrics that are numbers, without `step`; numbers in mappings are named `outer/inner`."""
    found: dict[str, float] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            found |= {f"{key}/{inner}": number for inner, number in scalars_of(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool) and key != "step":
            with suppress(OverflowError):  # an integer may have any number of digits
                found[str(key)] = float(value)
    return found


def finite(scalars: Mapping[str, float]) -> dict[str, float]:
    """Returns those that are neither NaN nor infinite."""
    return {key: value for key, value in scalars.items() if math.isfinite(value)}


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration on one level, with names such as `train.lr`."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": item for inner, item in flat_config(value).items()}
        else:
            flat[str(key)] = value
    return flat
