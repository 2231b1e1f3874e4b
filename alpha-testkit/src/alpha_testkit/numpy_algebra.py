"""Expressions evaluated in numpy, apart from every backend, and their derivatives by a complex step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.expression import Expression

__all__ = ["NumpyAlgebra", "complex_step", "evaluate"]

Array = npt.NDArray[Any]

STEP = 1e-200
"""So small that its square vanishes: f(x + i h) = f(x) + i h f'(x) then holds to the last bit, without cancellation."""


class NumpyAlgebra:
    """The nodes of an expression on real or complex arrays. At a kink the imaginary part follows the operand that
    `Expression.derivative` names: the right one of a tie, and 0 for |x| at 0."""

    def neg(self, x: Any) -> Any:
        return -x

    def exp(self, x: Any) -> Any:
        return np.exp(x)

    def log(self, x: Any) -> Any:
        return np.log(x)

    def sqrt(self, x: Any) -> Any:
        return np.sqrt(x)

    def tanh(self, x: Any) -> Any:
        return np.tanh(x)

    def sigmoid(self, x: Any) -> Any:
        return 0.5 + 0.5 * np.tanh(0.5 * x)

    def abs(self, x: Any) -> Any:
        return x * np.sign(np.real(x))

    def sign(self, x: Any) -> Any:
        return np.sign(np.real(x))

    def step(self, x: Any) -> Any:
        return np.where(np.real(x) > 0, 1.0, 0.0)

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def sub(self, a: Any, b: Any) -> Any:
        return a - b

    def mul(self, a: Any, b: Any) -> Any:
        return a * b

    def div(self, a: Any, b: Any) -> Any:
        return np.divide(a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        return np.where(np.isnan(a) | (np.real(a) > np.real(b)), a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        return np.where(np.isnan(a) | (np.real(a) < np.real(b)), a, b)


def evaluate(expression: Expression, x: Array, coefficients: Mapping[str, Array]) -> Array:
    """Returns the values of an expression."""
    with np.errstate(all="ignore"):
        return np.asarray(expression.evaluate(NumpyAlgebra(), x, coefficients))


def complex_step(expression: Expression, x: Array, coefficients: Mapping[str, Array], variable: str | None) -> Array:
    """Returns the derivative for x (`variable` None) or for a coefficient, in the shape of x; coefficients are (F,)."""
    step = 1j * STEP
    moved = {name: value + step if name == variable else value for name, value in coefficients.items()}
    values = evaluate(expression, x + step if variable is None else x, moved)
    return np.broadcast_to(np.imag(values) / STEP, x.shape)
