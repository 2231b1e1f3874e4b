"""Cases of the matrix product."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, ShapeError
from alpha_core.tensor import Shape
from alpha_testkit.compare import Tolerance
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample, Stored
from alpha_testkit.op_cases.draw import Generator, integers, normal

__all__ = ["CASES"]

SHAPES: dict[str, tuple[Shape, Shape]] = {
    "odd": ((3, 5), (5, 7)),
    "one": ((1, 1), (1, 1)),
    "row": ((1, 5), (5, 7)),
    "column": ((7, 5), (5, 1)),
    "outer": ((7, 1), (1, 5)),
    "batch": ((2, 3, 5, 4), (2, 3, 4, 7)),
    "broadcast-batch": ((2, 1, 5, 4), (3, 4, 7)),
    "shared-right": ((3, 5, 4), (4, 7)),
    "shared-left": ((5, 4), (3, 4, 7)),
    "empty-inner": ((3, 0), (0, 4)),
    "empty-rows": ((0, 4), (4, 3)),
    "empty-batch": ((0, 3, 4), (4, 5)),
    "tiles": ((33, 65), (65, 17)),
    "large": ((65, 130), (130, 67)),
}
TRANSPOSED = (
    "odd",
    "outer",
    "batch",
    "broadcast-batch",
    "shared-right",
    "shared-left",
    "empty-inner",
    "tiles",
    "large",
)


def _matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    left = np.swapaxes(a, -1, -2) if transpose_a else a
    right = np.swapaxes(b, -1, -2) if transpose_b else b
    return np.asarray(np.einsum("...mk,...kn->...mn", left, right))


def _product(a: Shape, b: Shape, transpose_a: bool = False, transpose_b: bool = False) -> Callable[..., Arguments]:
    """Draws operands of a product (..., M, K) by (..., K, N), stored as the flags say."""
    left = (*a[:-2], a[-1], a[-2]) if transpose_a else a
    right = (*b[:-2], b[-1], b[-2]) if transpose_b else b
    return lambda rng: {
        "a": normal(rng, *left),
        "b": normal(rng, *right),
        "transpose_a": transpose_a,
        "transpose_b": transpose_b,
    }


def _wrong(name: str, a: Shape, b: Shape, **flags: bool) -> ErrorCase:
    return ErrorCase(name, lambda rng: {"a": normal(rng, *a), "b": normal(rng, *b), **flags}, ShapeError)


def _poisoned(value: float, transpose_a: bool, transpose_b: bool) -> Callable[[Generator], Arguments]:
    """Puts a value into the last column of one row: no other row of the result may see it."""

    def draw(rng: Generator) -> Arguments:
        arguments: dict[str, Any] = _product((5, 33), (33, 7), transpose_a, transpose_b)(rng)
        arguments["a"][(-1, 2) if transpose_a else (2, -1)] = value
        return arguments

    return draw


CASES = (
    OpCase(
        name="matmul",
        reference=_matmul,
        tolerance=Tolerance(6, "the rounding of a sum of products, up to 130 of them", of_largest=True),
        samples=(
            *(Sample(name, _product(a, b)) for name, (a, b) in SHAPES.items()),
            *(Sample(f"{name}-ta", _product(*SHAPES[name], True, False)) for name in TRANSPOSED),
            *(Sample(f"{name}-tb", _product(*SHAPES[name], False, True)) for name in TRANSPOSED),
            *(Sample(f"{name}-ta-tb", _product(*SHAPES[name], True, True)) for name in TRANSPOSED),
        ),
        non_finite=tuple(
            Sample(f"{name}{suffix}", _poisoned(value, *flags))
            for name, value in (("nan", np.nan), ("infinity", np.inf))
            for suffix, flags in (("", (False, False)), ("-ta", (True, False)), ("-tb", (False, True)))
        ),
        errors=(
            _wrong("inner", (3, 5), (4, 7)),
            _wrong("inner-ta", (3, 5), (5, 7), transpose_a=True),
            _wrong("inner-tb", (3, 5), (5, 7), transpose_b=True),
            _wrong("batch", (2, 3, 5), (3, 5, 7)),
            _wrong("vector", (5,), (5, 7)),
            _wrong("scalar", (3, 5), ()),
            ErrorCase(
                "integer", lambda rng: {"a": integers(rng, 0, 9, 3, 5), "b": integers(rng, 0, 9, 5, 3)}, DTypeError
            ),
            ErrorCase(
                "dtypes", lambda rng: {"a": normal(rng, 3, 5), "b": Stored(normal(rng, 5, 3), DType.f16)}, DTypeError
            ),
        ),
        differentiable=("a", "b"),
    ),
)
