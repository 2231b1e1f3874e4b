"""Cases of the reductions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.errors import DTypeError, ShapeError
from alpha_testkit.compare import EXACT, Tolerance
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample
from alpha_testkit.op_cases.draw import SHAPES, SPECIAL, Generator, distinct, integers, normal, over_shapes, positive

__all__ = ["CASES"]

Draw = Callable[..., Any]

SUMMED = Tolerance(8, "the rounding of a sum grows with the root of its length, of up to 2,145 values", of_largest=True)
ROOT = Tolerance(8, "a sum of squares, and a root within 3 units in the last place")


def _reduced(shape: tuple[int, ...], *, draw: Draw = normal, **options: Any) -> Callable[[Generator], Arguments]:
    return lambda rng: {"x": draw(rng, *shape), **options}


def _samples(draw: Draw) -> tuple[Sample, ...]:
    return (
        Sample("all", _reduced((3, 5, 7), draw=draw)),
        Sample("all-kept", _reduced((3, 5), draw=draw, keepdims=True)),
        Sample("first", _reduced((3, 5, 7), draw=draw, axes=0)),
        Sample("middle", _reduced((3, 5, 7), draw=draw, axes=1)),
        Sample("last", _reduced((3, 5, 7), draw=draw, axes=-1)),
        Sample("last-kept", _reduced((3, 5, 7), draw=draw, axes=-1, keepdims=True)),
        Sample("several", _reduced((3, 5, 7), draw=draw, axes=(0, -1))),
        Sample("several-kept", _reduced((2, 3, 4, 5), draw=draw, axes=(1, 2), keepdims=True)),
        Sample("none", _reduced((3, 5), draw=draw, axes=())),
        Sample("ones", _reduced((1, 4, 1), draw=draw, axes=(0, 2))),
        Sample("scalar", _reduced((), draw=draw)),
        Sample("empty-rows", _reduced((0, 3), draw=draw, axes=1)),
        Sample("tiles-rows", _reduced((33, 65), draw=draw, axes=1)),
        Sample("tiles-columns", _reduced((65, 33), draw=draw, axes=0)),
        Sample("tiles-all", _reduced((33, 65), draw=draw)),
    )


AXIS_ERRORS = (
    ErrorCase("axis", _reduced((3, 5), axes=2), ShapeError),
    ErrorCase("negative-axis", _reduced((3, 5), axes=-3), ShapeError),
    ErrorCase("axis-twice", _reduced((3, 5), axes=(1, -1)), ShapeError),
)
EMPTY_ERRORS = (
    ErrorCase("empty-axis", _reduced((0, 3), axes=0), ShapeError),
    ErrorCase("empty-all", _reduced((2, 0)), ShapeError),
)
FLOATING_ONLY = ErrorCase("integer", lambda rng: {"x": integers(rng, 0, 9, 3)}, DTypeError)
NON_FINITE_ROWS = Sample("rows", lambda rng: {"x": np.stack([SPECIAL, SPECIAL * 0 + 1, np.abs(SPECIAL)]), "axes": 1})
ONE_KIND = Sample(
    "one-kind",
    lambda rng: {"x": np.array([[1.0, np.inf, 2.0], [-np.inf, 1.0, 2.0], [1.0, np.nan, 2.0], [1, 2, 3]]), "axes": -1},
)
LAST_ELEMENTS = Sample("last-elements", lambda rng: {"x": _poisoned(normal(rng, 33, 65)), "axes": 1})
NUMBERS = (
    ("ordinary", np.array([1.0, 2.0])),
    ("nan", np.array([1.0, np.nan])),
    ("infinity", np.array([1.0, np.inf])),
    ("negative-infinity", np.array([-np.inf, 1.0])),
    ("both-infinities", np.array([np.inf, -np.inf])),
)


def _poisoned(x: Array) -> Array:
    """Puts NaN and infinities where a backend's last, incomplete vector would be."""
    x[-1, -1], x[-2, -1], x[-3, 0] = np.nan, np.inf, -np.inf
    return x


def _values(name: str, values: Array) -> Sample:
    return Sample(name, lambda rng: {"x": values})


def _listed(name: str, values: Array) -> Sample:
    return Sample(name, lambda rng: {"tensors": [np.ones(3), values]})


def _max_grad(grad: Array, x: Array, out: Array, axes: Any = None) -> Array:
    normal_axes = tuple(range(x.ndim)) if axes is None else tuple(np.atleast_1d(axes).astype(int))
    winners = x == np.max(x, axis=normal_axes, keepdims=True)
    count = winners.sum(axis=normal_axes, keepdims=True)
    return np.asarray(np.where(winners, 1.0, 0.0) / count * grad.reshape(count.shape))


def _max_and_grad(x: Callable[[Generator], Array], axes: Any, keepdims: bool) -> Callable[[Generator], Arguments]:
    def draw(rng: Generator) -> Arguments:
        values = x(rng)
        out = np.asarray(np.max(values, axis=axes, keepdims=keepdims))
        return {"grad": normal(rng, *out.shape), "x": values, "out": out, "axes": axes}

    return draw


def _global_norm(tensors: list[Array]) -> Array:
    return np.asarray(np.sqrt(sum(np.sum(np.square(tensor)) for tensor in tensors)))


def _clipped(norm: float, limit: float) -> Callable[[Generator], Arguments]:
    return lambda rng: {"norm": np.array(norm), "limit": limit}


CASES = (
    OpCase(
        name="sum",
        reference=lambda x, axes=None, keepdims=False: np.sum(x, axis=axes, keepdims=keepdims),
        tolerance=SUMMED,
        samples=(
            *_samples(normal),
            Sample("empty-all", _reduced((2, 0))),
            Sample("empty-axis", _reduced((0, 3), axes=0)),
            Sample("empty-kept", _reduced((0, 3), axes=0, keepdims=True)),
            Sample("long", _reduced((2, 1025), axes=1)),
        ),
        non_finite=(NON_FINITE_ROWS, ONE_KIND, LAST_ELEMENTS),
        errors=(*AXIS_ERRORS, FLOATING_ONLY),
        differentiable=("x",),
    ),
    OpCase(
        name="max",
        reference=lambda x, axes=None, keepdims=False: np.max(x, axis=axes, keepdims=keepdims),
        tolerance=EXACT,
        samples=(
            *_samples(distinct),
            Sample("negative", lambda rng: {"x": -positive(rng, 33, 65), "axes": 1}),
            Sample("ties", lambda rng: {"x": np.full((3, 5), -1.0), "axes": 1}, gradient=False),
        ),
        non_finite=(
            NON_FINITE_ROWS,
            ONE_KIND,
            LAST_ELEMENTS,
            Sample("lowest", lambda rng: {"x": np.full((2, 33), -np.inf), "axes": 1}),
        ),
        errors=(*AXIS_ERRORS, *EMPTY_ERRORS),
        differentiable=("x",),
    ),
    OpCase(
        name="max_grad",
        reference=_max_grad,
        tolerance=Tolerance(4, "one division"),
        samples=(
            Sample("all", _max_and_grad(lambda rng: distinct(rng, 3, 5), None, False)),
            Sample("all-kept", _max_and_grad(lambda rng: distinct(rng, 3, 5), None, True)),
            Sample("last", _max_and_grad(lambda rng: distinct(rng, 3, 5, 7), -1, False)),
            Sample("first-kept", _max_and_grad(lambda rng: distinct(rng, 3, 5, 7), 0, True)),
            Sample("several", _max_and_grad(lambda rng: distinct(rng, 3, 5, 7), (0, 2), False)),
            Sample("ties", _max_and_grad(lambda rng: integers(rng, 0, 3, 5, 7).astype(np.float64), 1, False)),
            Sample("all-equal", _max_and_grad(lambda rng: np.ones((3, 5)), None, False)),
            Sample("empty", _max_and_grad(lambda rng: distinct(rng, 0, 5), 1, False)),
            Sample("tiles", _max_and_grad(lambda rng: distinct(rng, 33, 65), 1, True)),
        ),
        errors=(
            ErrorCase(
                "axis",
                lambda rng: {"grad": normal(rng, 3), "x": normal(rng, 3, 5), "out": normal(rng, 3), "axes": 2},
                ShapeError,
            ),
            ErrorCase(
                "shapes",
                lambda rng: {"grad": normal(rng, 4), "x": normal(rng, 3, 5), "out": normal(rng, 3), "axes": 1},
                ShapeError,
            ),
        ),
    ),
    OpCase(
        name="mean",
        reference=lambda x, axes=None, keepdims=False: np.mean(x, axis=axes, keepdims=keepdims),
        tolerance=SUMMED,
        samples=(*_samples(normal), Sample("long", _reduced((2, 1025), axes=1))),
        non_finite=(NON_FINITE_ROWS, ONE_KIND, LAST_ELEMENTS),
        errors=(*AXIS_ERRORS, *EMPTY_ERRORS, FLOATING_ONLY),
        differentiable=("x",),
    ),
    OpCase(
        name="sum_of_squares",
        reference=lambda x: np.sum(np.square(x)),
        tolerance=SUMMED,
        samples=over_shapes(lambda rng, shape: {"x": normal(rng, *shape)}),
        non_finite=tuple(_values(name, values) for name, values in NUMBERS),
        errors=(FLOATING_ONLY,),
        differentiable=("x",),
    ),
    OpCase(
        name="all_finite",
        reference=lambda x: np.float64(np.isfinite(x).all()),
        tolerance=EXACT,
        samples=(
            *over_shapes(lambda rng, shape: {"x": normal(rng, *shape)}),
            Sample("largest", lambda rng: {"x": np.array([6e4, -6e4, 0.0])}),
        ),
        non_finite=(
            *(_values(name, values) for name, values in NUMBERS),
            Sample("last-element", lambda rng: {"x": _poisoned(normal(rng, 33, 65))}),
            Sample("first-element", lambda rng: {"x": np.concatenate([[np.inf], normal(rng, 64)])}),
        ),
    ),
    OpCase(
        name="global_norm",
        reference=_global_norm,
        tolerance=ROOT,
        samples=(
            Sample("one", lambda rng: {"tensors": [normal(rng, 3, 5)]}),
            Sample("several", lambda rng: {"tensors": [normal(rng, *shape) for shape in SHAPES.values()]}),
            Sample("empty-first", lambda rng: {"tensors": [normal(rng, 0), normal(rng, 5)]}),
            Sample("zero", lambda rng: {"tensors": [np.zeros(3)]}, gradient=False),
        ),
        non_finite=tuple(_listed(name, values) for name, values in NUMBERS),
        differentiable=("tensors",),
    ),
    OpCase(
        name="clip_coefficient",
        reference=lambda norm, limit: np.minimum(limit / np.maximum(norm, 1e-30), 1.0),
        tolerance=Tolerance(4, "one division"),
        samples=(
            Sample("above", _clipped(2.5, 1.0)),
            Sample("far-above", _clipped(3e4, 0.5)),
            Sample("below", _clipped(0.5, 1.0)),
            Sample("equal", _clipped(1.0, 1.0), gradient=False),
            Sample("zero", _clipped(0.0, 1.0), gradient=False),
        ),
        non_finite=(Sample("infinite", _clipped(np.inf, 1.0)), Sample("nan", _clipped(np.nan, 1.0))),
        differentiable=("norm",),
    ),
)
