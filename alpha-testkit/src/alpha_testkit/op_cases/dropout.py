"""Cases of dropout: the bits are those of `alpha_core.random`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.errors import OpError
from alpha_core.random import dropout_threshold, random_bits
from alpha_core.tensor import Shape
from alpha_testkit.compare import Tolerance
from alpha_testkit.op_cases.case import WORKING, Arguments, Array, ErrorCase, OpCase, Sample, Stored, Stream
from alpha_testkit.op_cases.draw import Generator, normal

__all__ = ["CASES", "dropout_mask"]

SCALED = Tolerance(1, "one rounding, of the factor 1 / (1 - rate) or its product")

STREAMS = {
    "ordinary": Stream(seed=42, stream=7, step=3, rows=(0, 1, 2)),
    "wide": Stream(seed=2**63 - 5, stream=2**32 - 3, step=2**31 - 1, rows=(2**31 - 1, 0, 77)),
    "one": Stream(seed=1, stream=0, step=0, rows=(5,)),
}
# name: (shape, rate, stream). Row sizes that are no multiple of the generator's four words are the hard ones.
MASKS: dict[str, tuple[Shape, float, str]] = {
    "odd": ((3, 5, 7), 0.25, "ordinary"),
    "wide-numbers": ((3, 5, 7), 0.5, "wide"),
    "one-row": ((5, 13), 0.1, "one"),
    "tokens": ((6, 9), 0.3, "ordinary"),
    "single": ((3, 1), 0.5, "ordinary"),
    "keep-all": ((3, 5), 0.0, "ordinary"),
    "drop-most": ((3, 65), 0.99, "ordinary"),
    "empty": ((3, 0), 0.5, "ordinary"),
    "tiles": ((33, 65), 0.2, "ordinary"),
}


def dropout_mask(shape: Shape, rate: float, random: Stream) -> Array:
    """Returns the mask in float64, element by element as its docstring says."""
    row_size = int(np.prod(shape)) // len(random.rows)
    bits = random_bits(random.seed, random.stream, random.step, np.array(random.rows, np.uint32), row_size)
    return np.where(bits < dropout_threshold(rate), 0.0, 1.0 / (1.0 - rate)).reshape(shape)


def _mask(shape: Shape, rate: float, random: Stream, dtype: DType) -> Stored:
    return Stored(dropout_mask(shape, rate, random), dtype)


def _masked(shape: Shape, rate: float, stream: str) -> Callable[[Generator], Arguments]:
    return lambda rng: {"shape": shape, "rate": rate, "random": STREAMS[stream], "dtype": WORKING}


def _dropped(shape: Shape, rate: float, stream: str) -> Callable[[Generator], Arguments]:
    return lambda rng: {"x": normal(rng, *shape), "rate": rate, "random": STREAMS[stream]}


def _errors(draw: Callable[..., Any]) -> tuple[ErrorCase, ...]:
    return (
        ErrorCase("rate-one", draw((3, 5), 1.0, "ordinary"), OpError),
        ErrorCase("rate-negative", draw((3, 5), -0.1, "ordinary"), OpError),
        ErrorCase("rows", draw((2, 5), 0.5, "ordinary"), OpError),
    )


CASES = (
    OpCase(
        name="dropout_mask",
        reference=_mask,
        tolerance=SCALED,
        samples=tuple(Sample(name, _masked(*arguments)) for name, arguments in MASKS.items()),
        errors=_errors(_masked),
    ),
    OpCase(
        name="dropout",
        reference=lambda x, rate, random: x * dropout_mask(x.shape, rate, random),
        tolerance=SCALED.times(2),
        samples=tuple(Sample(name, _dropped(*arguments)) for name, arguments in MASKS.items()),
        non_finite=(
            Sample("kept", lambda rng: {"x": np.full((3, 5), np.nan), "rate": 0.0, "random": STREAMS["ordinary"]}),
        ),
        errors=_errors(_dropped),
        differentiable=("x",),
    ),
)
