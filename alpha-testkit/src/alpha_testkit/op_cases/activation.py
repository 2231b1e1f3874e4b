"""Cases of the fused bias and activation. Derivatives come from a complex step, not from symbolic differentiation."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core import expression as ex
from alpha_core.errors import OpError, ShapeError
from alpha_core.expression import Expression, X, coefficient
from alpha_core.tensor import Shape
from alpha_testkit.compare import Tolerance
from alpha_testkit.numpy_algebra import complex_step, evaluate
from alpha_testkit.op_cases.case import Arguments, Array, ErrorCase, OpCase, Sample
from alpha_testkit.op_cases.draw import SPECIAL, Generator, distinct, normal, positive

__all__ = ["CASES"]

EVALUATED = Tolerance(24, "a tree of up to a dozen roundings, some in exponentials and divisions", of_largest=True)
SUMMED = Tolerance(48, "the same, and sums over up to 33 rows", of_largest=True)

GELU = 0.5 * X * (1.0 + ex.tanh(0.7978845608 * (X + 0.044715 * X * X * X)))
SILU = X * ex.sigmoid(X)
RELU = ex.maximum(X, 0.0)
RATIONAL = (coefficient("a", 0.5) + coefficient("b", 1.0) * X) / (1.0 + ex.absolute(coefficient("c", 0.25) * X))
WAVE = coefficient("scale", 1.0) * ex.exp(-X * X) + ex.sqrt(1.0 + X * X) - ex.log(2.0 + X * X)
NO_INPUT = coefficient("level", 2.0) * coefficient("level", 2.0)
EVERYTHING = ex.minimum(ex.square(X), 2.0) - ex.maximum(-X, coefficient("floor", 0.125)) / 4.0


def _bias_activation(x: Array, bias: Array | None, expression: Expression, coefficients: Any = ()) -> Array:
    names = [c.name for c in expression.coefficients()]
    moved = x if bias is None else x + bias
    return np.broadcast_to(evaluate(expression, moved, dict(zip(names, coefficients, strict=True))), x.shape)


def _bias_activation_grad(
    grad: Array, x: Array, bias: Array | None, expression: Expression, coefficients: Any = ()
) -> tuple[Array, Array | None, list[Array]]:
    names = [c.name for c in expression.coefficients()]
    values = dict(zip(names, coefficients, strict=True))
    moved = x if bias is None else x + bias
    lead = tuple(range(x.ndim - 1))
    dx = grad * complex_step(expression, moved, values, None)
    dcoefficients = [np.sum(grad * complex_step(expression, moved, values, name), axis=lead) for name in names]
    return dx, None if bias is None else np.sum(dx, axis=lead), dcoefficients


def _activated(expression: Expression, shape: Shape, bias: bool, grad: bool) -> Callable[[Generator], Arguments]:
    def draw(rng: Generator) -> Arguments:
        arguments: Arguments = {"grad": normal(rng, *shape)} if grad else {}
        return arguments | {
            "x": distinct(rng, *shape),
            "bias": normal(rng, shape[-1], scale=0.1) if bias else None,
            "expression": expression,
            "coefficients": [positive(rng, shape[-1]) for _ in expression.coefficients()],
        }

    return draw


def _kinks(expression: Expression, grad: bool) -> Callable[[Generator], Arguments]:
    """Values exactly at a kink, where the derivative is a convention."""
    values = np.array([[-1.0, 0.0, 1.0], [0.0, -0.0, 2.0]])
    return lambda rng: {
        **({"grad": normal(rng, 2, 3)} if grad else {}),
        "x": values,
        "bias": np.zeros(3),
        "expression": expression,
        "coefficients": [np.ones(3) for _ in expression.coefficients()],
    }


def _samples(grad: bool) -> tuple[Sample, ...]:
    return (
        Sample("gelu", _activated(GELU, (3, 5, 7), True, grad)),
        Sample("gelu-no-bias", _activated(GELU, (3, 5), False, grad)),
        Sample("silu", _activated(SILU, (3, 5), True, grad)),
        Sample("relu", _activated(RELU, (3, 5), False, grad)),
        Sample("relu-kinks", _kinks(RELU, grad), gradient=False),
        Sample("rational", _activated(RATIONAL, (4, 5), True, grad)),
        Sample("rational-kinks", _kinks(RATIONAL, grad), gradient=False),
        Sample("wave", _activated(WAVE, (2, 3, 5), False, grad)),
        Sample("everything", _activated(EVERYTHING, (3, 5), False, grad)),
        Sample("identity", _activated(X, (3, 5), True, grad)),
        Sample("no-input", _activated(NO_INPUT, (3, 5), True, grad)),
        Sample("constant", _activated(ex.constant(1.5), (3, 5), True, grad)),
        Sample("vector", _activated(SILU, (5,), True, grad)),
        Sample("empty", _activated(RATIONAL, (0, 5), True, grad)),
        Sample("tiles", _activated(GELU, (33, 65), True, grad)),
        Sample("tiles-coefficients", _activated(RATIONAL, (33, 65), True, grad)),
    )


def _errors(grad: bool) -> tuple[ErrorCase, ...]:
    def case(name: str, error: type[OpError], bias: int, coefficients: tuple[int, ...]) -> ErrorCase:
        return ErrorCase(
            name,
            lambda rng: {
                **({"grad": normal(rng, 3, 5)} if grad else {}),
                "x": normal(rng, 3, 5),
                "bias": normal(rng, bias),
                "expression": WAVE,
                "coefficients": [normal(rng, length) for length in coefficients],
            },
            error,
        )

    return (
        case("bias", ShapeError, 4, (5,)),
        case("bias-one", ShapeError, 1, (5,)),
        case("coefficient", ShapeError, 5, (4,)),
        case("missing-coefficient", OpError, 5, ()),
        case("surplus-coefficient", OpError, 5, (5, 5)),
    )


def _wrong_gradient(rng: Generator) -> Arguments:
    return {**_activated(GELU, (3, 5), False, True)(rng), "grad": normal(rng, 1, 5)}


CASES = (
    OpCase(
        name="bias_activation",
        reference=_bias_activation,
        tolerance=EVALUATED,
        samples=_samples(False),
        non_finite=(
            Sample("relu", lambda rng: {"x": SPECIAL.reshape(1, 7), "bias": np.zeros(7), "expression": RELU}),
            Sample("silu", lambda rng: {"x": SPECIAL.reshape(1, 7), "bias": np.zeros(7), "expression": SILU}),
            Sample("bias", lambda rng: {"x": np.ones((2, 7)), "bias": SPECIAL, "expression": RELU}),
        ),
        errors=_errors(False),
        differentiable=("x", "bias", "coefficients"),
    ),
    OpCase(
        name="bias_activation_grad",
        reference=_bias_activation_grad,
        tolerance=SUMMED,
        samples=_samples(True),
        errors=(*_errors(True), ErrorCase("grad", _wrong_gradient, ShapeError)),
    ),
)
