"""Slopes of float64 references by finite differences, for checking gradients."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["directions", "slope"]

Array = npt.NDArray[Any]

STEP = 1e-4
FEW = 24


def slope(function: Callable[[Array], float], at: Array, direction: Array) -> float:
    """Returns the derivative of `function` along a direction (five points: error STEP^4 and 1e-12 of the value)."""
    near, far = STEP * direction, 2 * STEP * direction
    return (8 * (function(at + near) - function(at - near)) - (function(at + far) - function(at - far))) / (12 * STEP)


def directions(shape: Sequence[int], generator: np.random.Generator) -> Iterator[Array]:
    """Yields two random directions, and for few elements each element by itself. Entries are at most 1."""
    size = int(np.prod(shape))
    if size == 0:
        return
    for _ in range(2):
        yield generator.uniform(-1.0, 1.0, tuple(shape))
    if size <= FEW:
        yield from np.eye(size).reshape(size, *shape)
