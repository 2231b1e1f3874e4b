"""Values and shapes that samples are made of."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from alpha_core.tensor import Shape
from alpha_testkit.op_cases.case import Arguments, Sample

__all__ = ["MIXED", "SHAPES", "SPECIAL", "Generator", "distinct", "integers", "normal", "over_shapes", "positive"]

Generator = np.random.Generator
Float = npt.NDArray[np.float64]

SHAPES: Mapping[str, Shape] = {
    "scalar": (),
    "odd": (3, 5, 7),
    "ones": (1, 4, 1),
    "empty": (0, 3),
    "tiles": (33, 65),  # one more than the tiles and vectors that backends like
}

MIXED = np.array([-3.0, -2.5, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 1.75, 4.0])
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5])


def normal(rng: Generator, *shape: int, scale: float = 1.0) -> Float:
    """Standard normal values, times `scale`."""
    return np.asarray(rng.standard_normal(shape) * scale)


def positive(rng: Generator, *shape: int) -> Float:
    """Values in [0.25, 4]."""
    return np.asarray(rng.uniform(0.25, 4.0, shape))


def distinct(rng: Generator, *shape: int, reach: float = 4.0) -> Float:
    """Values in (-reach, reach), all different and none of them 0: a grid in random order."""
    size = int(np.prod(shape))
    grid = (np.arange(size) + 0.5) * (2 * reach / max(size, 1)) - reach
    return np.asarray(rng.permutation(grid + reach / (4 * max(size, 1))).reshape(shape))


def integers(rng: Generator, low: int, high: int, *shape: int) -> npt.NDArray[np.int32]:
    """Integers in [low, high)."""
    return np.asarray(rng.integers(low, high, shape), dtype=np.int32)


def over_shapes(draw: Callable[[Generator, Shape], Arguments], shapes: Mapping[str, Shape] = SHAPES) -> list[Sample]:
    """Returns one sample for each shape, named like it."""

    def sample(name: str, shape: Shape) -> Sample:
        return Sample(name, lambda rng: draw(rng, shape))

    return [sample(name, shape) for name, shape in shapes.items()]
