"""Cases of the ops that move elements. They hold in every dtype."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, OpError, ShapeError
from alpha_testkit.compare import EXACT
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample, Stored
from alpha_testkit.op_cases.draw import SPECIAL, Generator, normal

__all__ = ["CASES"]


def _moved(shape: tuple[int, ...], /, **options: Any) -> Callable[[Generator], Arguments]:
    return lambda rng: {"x": normal(rng, *shape), **options}


def _joined(*shapes: tuple[int, ...], axis: int) -> Callable[[Generator], Arguments]:
    return lambda rng: {"tensors": [normal(rng, *shape) for shape in shapes], "axis": axis}


def _wrong(name: str, shape: tuple[int, ...], error: type[OpError] = ShapeError, /, **options: Any) -> ErrorCase:
    return ErrorCase(name, _moved(shape, **options), error)


def _slice(x: Array, axis: int, start: int, stop: int) -> Array:
    return np.moveaxis(np.moveaxis(x, axis, 0)[start:stop], 0, axis)


def _slice_grad(grad: Array, axis: int, start: int, length: int) -> Array:
    moved = np.moveaxis(grad, axis, 0)
    result = np.zeros((length, *moved.shape[1:]))
    result[start : start + len(moved)] = moved
    return np.moveaxis(result, 0, axis)


CASES = (
    OpCase(
        name="reshape",
        reference=lambda x, shape: x.reshape(shape),
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("odd", _moved((3, 5, 7), shape=(7, 15))),
            Sample("same", _moved((3, 5), shape=(3, 5))),
            Sample("inferred", _moved((4, 6), shape=(3, -1, 2))),
            Sample("scalar", _moved((1, 1), shape=())),
            Sample("from-scalar", _moved((), shape=(1, 1))),
            Sample("empty", _moved((0, 3), shape=(5, 0))),
            Sample("empty-inferred", _moved((0, 3), shape=(-1, 3))),
            Sample("tiles", _moved((33, 65), shape=(65, 33))),
        ),
        non_finite=(Sample("values", lambda rng: {"x": SPECIAL, "shape": (7, 1)}),),
        errors=(
            _wrong("count", (3, 5), shape=(4, 4)),
            _wrong("two-inferred", (3, 4), shape=(-1, -1)),
            _wrong("negative", (3, 4), shape=(-2, -6)),
            _wrong("indivisible", (3, 5), shape=(4, -1)),
        ),
        differentiable=("x",),
    ),
    OpCase(
        name="transpose",
        reference=lambda x, axes: np.transpose(x, axes),
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("matrix", _moved((3, 5), axes=(1, 0))),
            Sample("identity", _moved((3, 5), axes=(0, 1))),
            Sample("cycle", _moved((2, 3, 5), axes=(1, 2, 0))),
            Sample("heads", _moved((2, 5, 3, 4), axes=(0, 2, 1, 3))),
            Sample("vector", _moved((5,), axes=(0,))),
            Sample("scalar", _moved((), axes=())),
            Sample("empty", _moved((0, 3), axes=(1, 0))),
            Sample("tiles", _moved((33, 65), axes=(1, 0))),
        ),
        non_finite=(Sample("values", lambda rng: {"x": SPECIAL.reshape(1, 7), "axes": (1, 0)}),),
        errors=(
            _wrong("too-few", (3, 5), axes=(0,)),
            _wrong("twice", (3, 5), axes=(1, 1)),
            _wrong("outside", (3, 5), axes=(0, 2)),
        ),
        differentiable=("x",),
    ),
    OpCase(
        name="broadcast_to",
        reference=lambda x, shape: np.broadcast_to(x, shape),
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("row", _moved((5,), shape=(3, 5))),
            Sample("column", _moved((3, 1), shape=(3, 5))),
            Sample("both", _moved((3, 1, 5), shape=(2, 3, 4, 5))),
            Sample("scalar", _moved((), shape=(3, 5))),
            Sample("same", _moved((3, 5), shape=(3, 5))),
            Sample("empty", _moved((1, 3), shape=(0, 3))),
            Sample("tiles", _moved((33, 1), shape=(33, 65))),
        ),
        non_finite=(Sample("values", lambda rng: {"x": SPECIAL, "shape": (3, 7)}),),
        errors=(
            _wrong("length", (3, 5), shape=(3, 4)),
            _wrong("fewer-axes", (3, 5), shape=(5,)),
            _wrong("shrinking", (3, 5), shape=(1, 5)),
        ),
        differentiable=("x",),
    ),
    OpCase(
        name="slice",
        reference=_slice,
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("first", _moved((5, 3), axis=0, start=1, stop=4)),
            Sample("middle", _moved((2, 7, 3), axis=1, start=2, stop=7)),
            Sample("last", _moved((2, 3, 7), axis=-1, start=0, stop=3)),
            Sample("all", _moved((5,), axis=0, start=0, stop=5)),
            Sample("none", _moved((3, 5), axis=1, start=2, stop=2)),
            Sample("empty", _moved((0, 5), axis=1, start=1, stop=3)),
            Sample("tiles", _moved((33, 65), axis=-1, start=31, stop=65)),
        ),
        non_finite=(Sample("values", lambda rng: {"x": SPECIAL, "axis": 0, "start": 0, "stop": 6}),),
        errors=(
            _wrong("past-the-end", (3, 5), axis=1, start=2, stop=6),
            _wrong("negative", (3, 5), axis=1, start=-2, stop=4),
            _wrong("reversed", (3, 5), axis=1, start=3, stop=2),
            _wrong("axis", (3, 5), axis=2, start=0, stop=1),
        ),
        differentiable=("x",),
    ),
    OpCase(
        name="slice_grad",
        reference=_slice_grad,
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("first", lambda rng: {"grad": normal(rng, 3, 5), "axis": 0, "start": 1, "length": 4}),
            Sample("middle", lambda rng: {"grad": normal(rng, 2, 3, 5), "axis": 1, "start": 2, "length": 7}),
            Sample("last", lambda rng: {"grad": normal(rng, 2, 3), "axis": -1, "start": 0, "length": 3}),
            Sample("none", lambda rng: {"grad": normal(rng, 3, 0), "axis": 1, "start": 2, "length": 5}),
            Sample("empty", lambda rng: {"grad": normal(rng, 0, 5), "axis": 1, "start": 1, "length": 9}),
            Sample("tiles", lambda rng: {"grad": normal(rng, 33, 34), "axis": -1, "start": 31, "length": 65}),
        ),
        non_finite=(Sample("values", lambda rng: {"grad": SPECIAL, "axis": 0, "start": 1, "length": 9}),),
        errors=(
            ErrorCase(
                "past-the-end",
                lambda rng: {"grad": normal(rng, 3), "axis": 0, "start": 2, "length": 4},
                ShapeError,
            ),
            ErrorCase(
                "negative",
                lambda rng: {"grad": normal(rng, 3), "axis": 0, "start": -1, "length": 4},
                ShapeError,
            ),
            ErrorCase("axis", lambda rng: {"grad": normal(rng, 3), "axis": 1, "start": 0, "length": 4}, ShapeError),
        ),
        differentiable=("grad",),
    ),
    OpCase(
        name="cat",
        reference=lambda tensors, axis: np.concatenate(tensors, axis),
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("first", _joined((2, 3), (1, 3), (4, 3), axis=0)),
            Sample("middle", _joined((2, 3, 5), (2, 1, 5), axis=1)),
            Sample("last", _joined((2, 3, 5), (2, 3, 4), axis=-1)),
            Sample("one", _joined((3, 5), axis=0)),
            Sample("with-empty", _joined((3, 0), (3, 5), (3, 0), axis=1)),
            Sample("empty", _joined((0, 3), (0, 3), axis=0)),
            Sample("tiles", _joined((33, 31), (33, 34), axis=-1)),
        ),
        non_finite=(Sample("values", lambda rng: {"tensors": [SPECIAL, SPECIAL[::-1].copy()], "axis": 0}),),
        errors=(
            ErrorCase("lengths", _joined((2, 3), (2, 4), axis=0), ShapeError),
            ErrorCase("dimensions", _joined((2, 3), (2,), axis=0), ShapeError),
            ErrorCase("axis", _joined((2, 3), (2, 3), axis=2), ShapeError),
            ErrorCase("none", lambda rng: {"tensors": [], "axis": 0}),
            ErrorCase(
                "dtypes",
                lambda rng: {"tensors": [normal(rng, 3), Stored(normal(rng, 3), DType.f16)], "axis": 0},
                DTypeError,
            ),
        ),
        differentiable=("tensors",),
    ),
)
