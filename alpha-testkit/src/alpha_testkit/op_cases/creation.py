"""Cases of the ops that make tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.tensor import Shape
from alpha_testkit.compare import EXACT
from alpha_testkit.op_cases.case import WORKING, Arguments, OpCase, Sample, Stored
from alpha_testkit.op_cases.draw import Generator, over_shapes

__all__ = ["CASES"]


def _filled(shape: Shape, value: float, dtype: DType = DType.f32) -> Stored:
    return Stored(np.full(shape, value), dtype)


def _arange(length: int, dtype: DType = DType.i32) -> Stored:
    return Stored(np.arange(length, dtype=np.float64), dtype)


def _filling(shape: Shape, value: float, dtype: Any = WORKING) -> Callable[[Generator], Arguments]:
    return lambda rng: {"shape": shape, "value": value, "dtype": dtype}


def _zeros(shape: Shape, dtype: DType) -> Callable[[Generator], Arguments]:
    return lambda rng: {"shape": shape, "dtype": dtype}


CASES = (
    OpCase(
        name="full",
        reference=_filled,
        tolerance=EXACT,
        samples=(
            *over_shapes(lambda rng, shape: {"shape": shape, "value": -2.5, "dtype": WORKING}),
            Sample("default", lambda rng: {"shape": (3,), "value": 0.5}),
            *(Sample(dtype.value, _filling((3, 5), 7, dtype)) for dtype in DType),
        ),
        non_finite=(
            Sample("infinite", _filling((3, 5), float("-inf"))),
            Sample("nan", _filling((5,), float("nan"))),
        ),
    ),
    OpCase(
        name="zeros",
        reference=lambda shape, dtype=DType.f32: _filled(shape, 0.0, dtype),
        tolerance=EXACT,
        samples=(
            *over_shapes(lambda rng, shape: {"shape": shape, "dtype": WORKING}),
            Sample("default", lambda rng: {"shape": (3,)}),
            *(Sample(dtype.value, _zeros((3, 5), dtype)) for dtype in DType),
        ),
    ),
    OpCase(
        name="arange",
        reference=_arange,
        tolerance=EXACT,
        samples=(
            Sample("default", lambda rng: {"length": 7}),
            Sample("one", lambda rng: {"length": 1, "dtype": WORKING}),
            Sample("empty", lambda rng: {"length": 0, "dtype": WORKING}),
            Sample("tiles", lambda rng: {"length": 65, "dtype": WORKING}),
            Sample("long", lambda rng: {"length": 1025}),
        ),
    ),
)
