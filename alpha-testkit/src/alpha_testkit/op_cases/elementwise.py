"""Cases of the elementwise ops."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, ShapeError
from alpha_testkit.compare import EXACT, Tolerance, rounded
from alpha_testkit.op_cases.case import WORKING, Arguments, Array, ErrorCase, OpCase, Sample, Stored
from alpha_testkit.op_cases.draw import (
    MIXED,
    SHAPES,
    SPECIAL,
    Generator,
    distinct,
    integers,
    normal,
    over_shapes,
    positive,
)

__all__ = ["CASES"]

Draw = Callable[..., Any]

ROUNDED_ONCE = Tolerance(1, "one rounding, as IEEE 754 asks")
DIVIDED = Tolerance(4, "GPUs divide and take roots within 3 units in the last place")
EXPONENTIAL = Tolerance(16, "GPUs guarantee 3 + 2|x| units in the last place, and |x| is below 5 here")
BOUNDED = Tolerance(
    8, "an absolute error of a few roundings: what is near 0 comes from what is near 1", of_largest=True
)


def _binary(draw: Draw, names: tuple[str, str] = ("a", "b"), numbers: bool = True) -> tuple[Sample, ...]:
    """Both operands of one shape, each way of broadcasting, and a plain number on either side."""
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        **{name: (shape, shape) for name, shape in SHAPES.items()},
        "row": ((33, 65), (65,)),
        "column": ((33, 1), (33, 65)),
        "outer": ((4, 1, 3), (5, 1)),
        "lead": ((3,), (2, 1, 3)),
        "single": ((2, 3), (1, 1)),
        "zero-dim": ((), (3, 5)),
        "empty-row": ((0, 3), (3,)),
        "empty-one": ((1, 3), (0, 3)),
    }
    first, second = names

    def drawn(left: tuple[int, ...], right: tuple[int, ...]) -> Callable[[Generator], Arguments]:
        def draw_both(rng: Generator) -> Arguments:
            both = draw(rng, int(np.prod(left)) + int(np.prod(right)))
            size = int(np.prod(left))
            return {first: both[:size].reshape(left), second: both[size:].reshape(right)}

        return draw_both

    samples = [Sample(name, drawn(left, right)) for name, (left, right) in shapes.items()]
    if numbers:
        samples += [
            Sample("number-right", lambda rng: {first: draw(rng, 3, 5), second: 0.15625}),
            Sample("number-left", lambda rng: {first: 0.15625, second: draw(rng, 3, 5)}),
        ]
    return tuple(samples)


def _integer_binary() -> tuple[Sample, ...]:
    return (
        Sample("same", lambda rng: {"a": integers(rng, -9, 9, 3, 5), "b": integers(rng, -9, 9, 3, 5)}),
        Sample("row", lambda rng: {"a": integers(rng, -9, 9, 33, 65), "b": integers(rng, -9, 9, 65)}),
        Sample("number-right", lambda rng: {"a": integers(rng, -9, 9, 7), "b": 3}),
        Sample("number-left", lambda rng: {"a": -2, "b": integers(rng, -9, 9, 7)}),
        Sample(
            "large", lambda rng: {"a": np.array([2**24 + 1, -(2**24) - 3], np.int32), "b": np.array([2, 1], np.int32)}
        ),
    )


def _integer_unary() -> tuple[Sample, ...]:
    return (
        Sample("odd", lambda rng: {"x": integers(rng, -9, 9, 3, 5)}),
        Sample("large", lambda rng: {"x": np.array([2**31 - 1, -(2**31) + 1, 0], np.int32)}),
    )


ALL_PAIRS = Sample("pairs", lambda rng: {"a": SPECIAL.reshape(-1, 1), "b": SPECIAL})
ALL_VALUES = Sample("values", lambda rng: {"x": SPECIAL})
AT_KINKS = Sample("kinks", lambda rng: {"x": MIXED}, gradient=False)
TIES = Sample("ties", lambda rng: {"a": MIXED.reshape(-1, 1), "b": MIXED}, gradient=False)

BINARY_ERRORS = (
    ErrorCase("shapes", lambda rng: {"a": normal(rng, 3, 5), "b": normal(rng, 4)}, ShapeError),
    ErrorCase("shapes-inner", lambda rng: {"a": normal(rng, 2, 3), "b": normal(rng, 2)}, ShapeError),
    ErrorCase("dtypes", lambda rng: {"a": normal(rng, 3), "b": Stored(normal(rng, 3), DType.f16)}, DTypeError),
    ErrorCase("integer", lambda rng: {"a": normal(rng, 3), "b": integers(rng, 0, 9, 3)}, DTypeError),
)
FLOATING_ONLY = (ErrorCase("integer", lambda rng: {"x": integers(rng, 0, 9, 3)}, DTypeError),)


def _arithmetic(name: str, reference: Callable[..., Any]) -> OpCase:
    return OpCase(
        name=name,
        reference=reference,
        tolerance=ROUNDED_ONCE,
        samples=_binary(normal),
        integers=_integer_binary(),
        non_finite=(ALL_PAIRS,),
        errors=BINARY_ERRORS,
        differentiable=("a", "b"),
    )


def _choice(name: str, reference: Callable[..., Any], differentiable: bool) -> OpCase:
    """An op that selects or compares: exact, and without a derivative where operands are equal."""
    return OpCase(
        name=name,
        reference=reference,
        tolerance=EXACT,
        samples=(*_binary(distinct), TIES),
        integers=_integer_binary(),
        non_finite=(ALL_PAIRS,),
        errors=BINARY_ERRORS,
        differentiable=("a", "b") if differentiable else (),
    )


def _function(
    name: str,
    reference: Callable[..., Any],
    tolerance: Tolerance,
    draw: Draw = normal,
    *,
    samples: Sequence[Sample] = (),
    integers: Sequence[Sample] = (),
    differentiable: bool = True,
    floating_only: bool = True,
) -> OpCase:
    return OpCase(
        name=name,
        reference=lambda x: reference(x),
        tolerance=tolerance,
        samples=(*over_shapes(lambda rng, shape: {"x": draw(rng, *shape)}), *samples),
        integers=integers,
        non_finite=(ALL_VALUES,),
        errors=FLOATING_ONLY if floating_only else (),
        differentiable=("x",) if differentiable else (),
    )


def _cast(x: Array, dtype: DType) -> Stored:
    if dtype is DType.i32:
        return Stored(np.trunc(x).astype(np.int32), dtype)
    return Stored(rounded(x.astype(np.float64), dtype), dtype)


def _greater(a: Any, b: Any) -> Array:
    return _truth(np.greater(a, b), a, b)


def _equal(a: Any, b: Any) -> Array:
    return _truth(np.equal(a, b), a, b)


def _truth(outcome: Array, *operands: Any) -> Array:
    """1 and 0 in the dtype of the operands."""
    whole = all(np.asarray(operand).dtype.kind == "i" for operand in operands)
    return np.asarray(outcome).astype(np.int32 if whole else np.float64)


def _clamp_grad(grad: Array, x: Array, low: float, high: float) -> Array:
    return np.where((low < x) & (x < high), grad, 0.0)


def _casting(values: Callable[[Generator], Any], dtype: Any) -> Callable[[Generator], Arguments]:
    return lambda rng: {"x": values(rng), "dtype": dtype}


CASES = (
    OpCase(
        name="cast",
        reference=_cast,
        tolerance=EXACT,
        samples=(
            *over_shapes(lambda rng, shape: {"x": normal(rng, *shape), "dtype": WORKING}),
            *(
                Sample(f"to-{dtype.value}", _casting(lambda rng: normal(rng, 3, 7), dtype), gradient=False)
                for dtype in DType
                if dtype is not DType.i32
            ),
            Sample("to-i32", _casting(lambda rng: MIXED, DType.i32), gradient=False),
            Sample("from-i32", _casting(lambda rng: integers(rng, -9, 9, 3, 5), WORKING), gradient=False),
        ),
        non_finite=tuple(
            Sample(f"to-{dtype.value}", _casting(lambda rng: SPECIAL, dtype)) for dtype in DType if dtype.is_floating
        ),
        differentiable=("x",),
    ),
    _arithmetic("add", lambda a, b: a + b),
    _arithmetic("sub", lambda a, b: a - b),
    _arithmetic("mul", lambda a, b: a * b),
    OpCase(
        name="div",
        reference=lambda a, b: np.divide(a, b),
        tolerance=DIVIDED,
        samples=_binary(positive),
        non_finite=(ALL_PAIRS,),
        errors=(
            *BINARY_ERRORS,
            ErrorCase("integers", lambda rng: {"a": integers(rng, 1, 9, 3), "b": integers(rng, 1, 9, 3)}, DTypeError),
        ),
        differentiable=("a", "b"),
    ),
    _choice("maximum", lambda a, b: np.maximum(a, b), True),
    _choice("minimum", lambda a, b: np.minimum(a, b), True),
    _choice("greater", _greater, False),
    _choice("equal", _equal, False),
    OpCase(
        name="where",
        reference=lambda condition, a, b: np.where(condition != 0, a, b),
        tolerance=EXACT,
        samples=(
            *over_shapes(
                lambda rng, shape: {
                    "condition": integers(rng, 0, 2, *shape),
                    "a": normal(rng, *shape),
                    "b": normal(rng, *shape),
                }
            ),
            Sample(
                "broadcast",
                lambda rng: {"condition": integers(rng, -1, 2, 4, 1), "a": normal(rng, 3), "b": normal(rng, 2, 1, 1)},
            ),
            Sample("number-right", lambda rng: {"condition": integers(rng, 0, 2, 5), "a": normal(rng, 5), "b": -1.5}),
            Sample("number-left", lambda rng: {"condition": integers(rng, 0, 2, 5), "a": 0.5, "b": normal(rng, 5)}),
            Sample(
                "floating-condition",
                lambda rng: {"condition": np.array([0.0, -0.0, 0.5, -1.0]), "a": normal(rng, 4), "b": normal(rng, 4)},
            ),
            Sample(
                "half-condition",
                lambda rng: {
                    "condition": Stored(np.array([0.0, 1.0, 2.0]), DType.f16),
                    "a": normal(rng, 3),
                    "b": normal(rng, 3),
                },
            ),
            Sample(
                "bf16-condition",  # whose -0.0 has a bit that is not 0
                lambda rng: {
                    "condition": Stored(np.array([0.0, -0.0, 1.0]), DType.bf16),
                    "a": normal(rng, 3),
                    "b": normal(rng, 3),
                },
            ),
        ),
        non_finite=(
            Sample("chosen", lambda rng: {"condition": np.ones(7, np.int32), "a": SPECIAL, "b": 1.0}),
            Sample("hidden", lambda rng: {"condition": np.zeros(7, np.int32), "a": SPECIAL, "b": normal(rng, 7)}),
            Sample("nan-condition", lambda rng: {"condition": SPECIAL, "a": 1.0, "b": normal(rng, 7)}),
        ),
        errors=(
            ErrorCase(
                "shapes",
                lambda rng: {"condition": integers(rng, 0, 2, 4), "a": normal(rng, 3), "b": normal(rng, 3)},
                ShapeError,
            ),
            ErrorCase(
                "dtypes",
                lambda rng: {
                    "condition": integers(rng, 0, 2, 3),
                    "a": normal(rng, 3),
                    "b": Stored(normal(rng, 3), DType.f16),
                },
                DTypeError,
            ),
            ErrorCase("numbers", lambda rng: {"condition": integers(rng, 0, 2, 3), "a": 1.0, "b": 0.0}),
        ),
        differentiable=("a", "b"),
    ),
    _function(
        "exp",
        np.exp,
        EXPONENTIAL,
        samples=[
            Sample(
                "range",
                lambda rng: {"x": np.linspace(-60, 60, 65)},
                Tolerance(140, "3 + 2|x| units, up to |x| = 60"),
                gradient=False,
            )
        ],
    ),
    _function("log", np.log, Tolerance(8, "GPUs promise an absolute error near 1", of_largest=True), positive),
    _function("sqrt", np.sqrt, DIVIDED, positive),
    _function(
        "tanh", np.tanh, BOUNDED, samples=[Sample("large", lambda rng: {"x": np.array([-1e4, -90.0, 90.0, 1e4])})]
    ),
    _function("sign", np.sign, EXACT, distinct, samples=[AT_KINKS], differentiable=False),
    _function("neg", np.negative, EXACT, integers=_integer_unary(), floating_only=False),
    _function("abs", np.abs, EXACT, distinct, samples=[AT_KINKS], integers=_integer_unary(), floating_only=False),
    _function("square", np.square, ROUNDED_ONCE, floating_only=False),
    _function(
        "step",
        lambda x: np.where(x > 0, 1.0, 0.0),
        EXACT,
        distinct,
        samples=[AT_KINKS],
        differentiable=False,
        floating_only=False,
    ),
    _function(
        "sigmoid",
        lambda x: np.exp(-np.logaddexp(0.0, -x)),
        BOUNDED,
        samples=[Sample("large", lambda rng: {"x": np.array([-1e4, -90.0, 90.0, 1e4])})],
    ),
    OpCase(
        name="clamp",
        reference=lambda x, low, high: np.clip(x, low, high),
        tolerance=EXACT,
        samples=(
            *over_shapes(lambda rng, shape: {"x": distinct(rng, *shape), "low": -1.5, "high": 2.0}),
            Sample("kinks", lambda rng: {"x": MIXED, "low": -1.0, "high": 0.5}, gradient=False),
        ),
        non_finite=(Sample("values", lambda rng: {"x": SPECIAL, "low": -1.5, "high": 2.0}),),
        differentiable=("x",),
    ),
    OpCase(
        name="clamp_grad",
        reference=_clamp_grad,
        tolerance=EXACT,
        samples=(
            *over_shapes(
                lambda rng, shape: {
                    "grad": normal(rng, *shape),
                    "x": normal(rng, *shape),
                    "low": -0.5,
                    "high": 0.75,
                }
            ),
            Sample("kinks", lambda rng: {"grad": normal(rng, MIXED.size), "x": MIXED, "low": -1.0, "high": 0.5}),
        ),
        non_finite=(
            Sample("hidden", lambda rng: {"grad": SPECIAL, "x": np.full(7, 9.0), "low": -1.0, "high": 1.0}),
            Sample("passed", lambda rng: {"grad": SPECIAL, "x": np.zeros(7), "low": -1.0, "high": 1.0}),
        ),
        errors=(
            ErrorCase(
                "shapes",
                lambda rng: {"grad": normal(rng, 3), "x": normal(rng, 4), "low": -1.0, "high": 1.0},
                ShapeError,
            ),
        ),
    ),
)
