"""Cases of the ops that select by index."""

from collections.abc import Callable

import numpy as np

from alpha_core.errors import DTypeError, OpError, ShapeError
from alpha_core.tensor import Shape
from alpha_testkit.compare import EXACT, Tolerance
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample
from alpha_testkit.op_cases.draw import SPECIAL, Generator, distinct, integers, normal

__all__ = ["CASES"]

ADDED = Tolerance(8, "sums of the gradients of repeated indices, up to 130 of them", of_largest=True)


def _gathered(shape: Shape, axis: int, count: int) -> Callable[[Generator], Arguments]:
    def draw(rng: Generator) -> Arguments:
        index_shape = list(shape)
        index_shape[axis] = count
        return {"x": normal(rng, *shape), "index": integers(rng, 0, shape[axis], *index_shape), "axis": axis}

    return draw


def _scattered(shape: Shape, axis: int, length: int) -> Callable[[Generator], Arguments]:
    return lambda rng: {
        "grad": normal(rng, *shape),
        "index": integers(rng, 0, length, *shape),
        "axis": axis,
        "length": length,
    }


def _gather_grad(grad: Array, index: Array, axis: int, length: int) -> Array:
    shape = list(grad.shape)
    shape[axis] = length
    result = np.zeros(shape)
    for place in np.ndindex(*grad.shape):
        target = list(place)
        target[axis] = index[place]
        result[tuple(target)] += grad[place]
    return result


def _embedded(rows: int, width: int, *ids: int) -> Callable[[Generator], Arguments]:
    return lambda rng: {"weight": normal(rng, rows, width), "ids": integers(rng, 0, rows, *ids)}


def _embedding_grad(grad: Array, ids: Array, rows: int) -> Array:
    result = np.zeros((rows, grad.shape[-1]))
    for place in np.ndindex(*ids.shape):
        result[ids[place]] += grad[place]
    return result


def _spread(rows: int, width: int, *ids: int) -> Callable[[Generator], Arguments]:
    return lambda rng: {"grad": normal(rng, *ids, width), "ids": integers(rng, 0, rows, *ids), "rows": rows}


def _searched(*shape: int, axis: int = -1) -> Callable[[Generator], Arguments]:
    return lambda rng: {"x": distinct(rng, *shape), "axis": axis}


def _top_k(x: Array, k: int) -> tuple[Array, Array]:
    order = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


def _ties(rng: Generator, *shape: int) -> Array:
    return integers(rng, 0, 3, *shape).astype(np.float64)


CASES = (
    OpCase(
        name="gather",
        reference=lambda x, index, axis: np.take_along_axis(x, index, axis),
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("first", _gathered((5, 3), 0, 4)),
            Sample("middle", _gathered((2, 5, 3), 1, 7)),
            Sample("last", _gathered((2, 3, 5), -1, 2)),
            Sample("one", _gathered((4, 1), 1, 3)),
            Sample("vector", _gathered((5,), 0, 8)),
            Sample("none", _gathered((3, 5), 1, 0)),
            Sample("empty", _gathered((0, 5), 1, 2)),
            Sample("tiles", _gathered((33, 65), 1, 34)),
        ),
        non_finite=(
            Sample("values", lambda rng: {"x": SPECIAL, "index": np.arange(6, -1, -1, dtype=np.int32), "axis": 0}),
        ),
        errors=(
            ErrorCase(
                "index-dtype", lambda rng: {"x": normal(rng, 3, 5), "index": normal(rng, 3, 2), "axis": 1}, DTypeError
            ),
            ErrorCase(
                "index-shape",
                lambda rng: {"x": normal(rng, 3, 5), "index": integers(rng, 0, 2, 2, 2), "axis": 1},
                ShapeError,
            ),
            ErrorCase(
                "index-dimensions",
                lambda rng: {"x": normal(rng, 3, 5), "index": integers(rng, 0, 2, 3), "axis": 1},
                ShapeError,
            ),
            ErrorCase(
                "axis",
                lambda rng: {"x": normal(rng, 3, 5), "index": integers(rng, 0, 2, 3, 2), "axis": 2},
                ShapeError,
            ),
        ),
        differentiable=("x",),
    ),
    OpCase(
        name="gather_grad",
        reference=_gather_grad,
        tolerance=ADDED,
        samples=(
            Sample("first", _scattered((7, 3), 0, 4)),
            Sample("middle", _scattered((2, 7, 3), 1, 5)),
            Sample("last", _scattered((2, 3, 5), -1, 3)),
            Sample("one", _scattered((4, 3), 1, 1)),
            Sample("none", _scattered((3, 0), 1, 5)),
            Sample("empty", _scattered((0, 2), 1, 5)),
            Sample("tiles", _scattered((17, 65), 1, 33)),
        ),
        errors=(
            ErrorCase(
                "index-dtype",
                lambda rng: {"grad": normal(rng, 3, 2), "index": normal(rng, 3, 2), "axis": 1, "length": 5},
                DTypeError,
            ),
            ErrorCase(
                "index-shape",
                lambda rng: {"grad": normal(rng, 3, 2), "index": integers(rng, 0, 5, 3, 3), "axis": 1, "length": 5},
                ShapeError,
            ),
        ),
        differentiable=("grad",),
    ),
    OpCase(
        name="embedding",
        reference=lambda weight, ids: weight[ids],
        tolerance=EXACT,
        storage=True,
        samples=(
            Sample("odd", _embedded(7, 5, 2, 3)),
            Sample("vector", _embedded(7, 5, 4)),
            Sample("single", _embedded(7, 5)),
            Sample("one-row", _embedded(1, 3, 2, 2)),
            Sample("one-column", _embedded(5, 1, 3)),
            Sample("empty", _embedded(7, 5, 0)),
            Sample("tiles", _embedded(130, 65, 2, 33)),
        ),
        non_finite=(
            Sample("values", lambda rng: {"weight": SPECIAL.reshape(7, 1), "ids": np.array([0, 1, 2], np.int32)}),
            Sample("elsewhere", lambda rng: {"weight": SPECIAL.reshape(7, 1), "ids": np.array([5, 6], np.int32)}),
        ),
        errors=(
            ErrorCase("ids-dtype", lambda rng: {"weight": normal(rng, 7, 5), "ids": normal(rng, 3)}, DTypeError),
            ErrorCase("vector", lambda rng: {"weight": normal(rng, 7), "ids": integers(rng, 0, 7, 3)}, ShapeError),
            ErrorCase(
                "three-axes", lambda rng: {"weight": normal(rng, 7, 5, 2), "ids": integers(rng, 0, 7, 3)}, ShapeError
            ),
        ),
        differentiable=("weight",),
    ),
    OpCase(
        name="embedding_grad",
        reference=_embedding_grad,
        tolerance=ADDED,
        samples=(
            Sample("odd", _spread(7, 5, 2, 3)),
            Sample("vector", _spread(7, 5, 4)),
            Sample("single", _spread(7, 5)),
            Sample("repeated", _spread(2, 3, 65)),
            Sample("one-row", _spread(1, 3, 2, 65)),
            Sample("empty", _spread(7, 5, 0)),
            Sample("tiles", _spread(130, 65, 2, 33)),
        ),
        errors=(
            ErrorCase(
                "ids-dtype", lambda rng: {"grad": normal(rng, 3, 5), "ids": normal(rng, 3), "rows": 7}, DTypeError
            ),
            ErrorCase(
                "shapes",
                lambda rng: {"grad": normal(rng, 4, 5), "ids": integers(rng, 0, 7, 3), "rows": 7},
                ShapeError,
            ),
        ),
        differentiable=("grad",),
    ),
    OpCase(
        name="argmax",
        reference=lambda x, axis=-1: np.argmax(x, axis=axis).astype(np.int32),
        tolerance=EXACT,
        samples=(
            Sample("default", lambda rng: {"x": distinct(rng, 3, 5)}),
            Sample("first", _searched(3, 5, 7, axis=0)),
            Sample("middle", _searched(3, 5, 7, axis=1)),
            Sample("vector", _searched(7)),
            Sample("one", _searched(4, 1)),
            Sample("empty", _searched(0, 5)),
            Sample("tiles", _searched(33, 65)),
            Sample("ties", lambda rng: {"x": _ties(rng, 7, 65)}),
            Sample("equal", lambda rng: {"x": np.full((3, 33), -1.0)}),
            Sample("long", _searched(2, 1025)),
        ),
        non_finite=(
            Sample("values", lambda rng: {"x": np.stack([SPECIAL, SPECIAL[::-1], np.nan_to_num(SPECIAL)])}),
            Sample("infinities", lambda rng: {"x": np.array([[-np.inf, 1.0, np.inf, np.inf], [-np.inf] * 4])}),
            Sample("last-nan", lambda rng: {"x": np.concatenate([normal(rng, 64), [np.nan]])}),
        ),
        errors=(ErrorCase("axis", lambda rng: {"x": normal(rng, 3, 5), "axis": 2}, ShapeError),),
    ),
    OpCase(
        name="top_k",
        reference=_top_k,
        tolerance=EXACT,
        samples=(
            Sample("some", lambda rng: {"x": distinct(rng, 3, 7), "k": 3}),
            Sample("one", lambda rng: {"x": distinct(rng, 3, 7), "k": 1}),
            Sample("all", lambda rng: {"x": distinct(rng, 3, 7), "k": 7}),
            Sample("vector", lambda rng: {"x": distinct(rng, 9), "k": 4}),
            Sample("batch", lambda rng: {"x": distinct(rng, 2, 3, 5), "k": 2}),
            Sample("empty", lambda rng: {"x": distinct(rng, 0, 5), "k": 2}),
            Sample("tiles", lambda rng: {"x": distinct(rng, 17, 65), "k": 34}),
            Sample("ties", lambda rng: {"x": _ties(rng, 5, 65), "k": 40}, gradient=False),
            Sample("equal", lambda rng: {"x": np.zeros((2, 33)), "k": 17}, gradient=False),
        ),
        non_finite=(Sample("infinities", lambda rng: {"x": np.array([-np.inf, 1.0, np.inf, -2.0, np.inf]), "k": 5}),),
        errors=(
            ErrorCase("none", lambda rng: {"x": normal(rng, 3, 5), "k": 0}, OpError),
            ErrorCase("too-many", lambda rng: {"x": normal(rng, 3, 5), "k": 6}, OpError),
        ),
        differentiable=("x",),
    ),
)
