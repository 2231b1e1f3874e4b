"""Activations in numpy: the expression evaluated on blocks of rows, so that its intermediates stay in cache."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from alpha_core.expression import Expression, X
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.normalization import NormalizationKernels
from alpha_tensor.cpu_ref.storage import Array, array_of, lead_axes, quiet

__all__ = ["ActivationKernels"]

_BLOCK = 1 << 15  # elements; ten intermediates of this size fit a second-level cache (measured: 3x whole arrays)


class _Numpy:
    """The nodes of an expression as numpy functions."""

    neg, exp, log, sqrt, tanh = np.negative, np.exp, np.log, np.sqrt, np.tanh
    abs, sign = np.absolute, np.sign
    add, sub, mul, div = np.add, np.subtract, np.multiply, np.divide
    maximum, minimum = np.maximum, np.minimum

    @staticmethod
    def sigmoid(x: Array) -> Array:
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))

    @staticmethod
    def step(x: Array) -> Array:
        return np.greater(x, 0).astype(np.asarray(x).dtype)


class ActivationKernels(NormalizationKernels):
    @quiet()
    def bias_activation(
        self, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor] = ()
    ) -> Tensor:
        values, offset, learned = self._arrays("bias_activation", x, bias, expression, coefficients)
        out = np.empty_like(values)
        for rows in _blocks(values):
            out[rows] = expression.evaluate(_Numpy, values[rows] + offset, learned)
        return self._tensor(out.reshape(x.shape), x.dtype)

    @quiet()
    def bias_activation_grad(
        self,
        grad: Tensor,
        x: Tensor,
        bias: Tensor | None,
        expression: Expression,
        coefficients: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        values, offset, learned = self._arrays("bias_activation_grad", x, bias, expression, coefficients)
        require_shape("bias_activation_grad", "grad", grad, x.shape)
        g = array_of(grad).reshape(values.shape)
        slope = expression.derivative(X)
        dx = np.empty_like(values)
        dlearned = {c: np.zeros(values.shape[-1:], values.dtype) for c in expression.coefficients()}
        for rows in _blocks(values):
            inner = values[rows] + offset
            dx[rows] = g[rows] * slope.evaluate(_Numpy, inner, learned)
            for c, total in dlearned.items():
                total += (g[rows] * expression.derivative(c).evaluate(_Numpy, inner, learned)).sum(0)
        dbias = None if bias is None else self._tensor(dx.sum(lead_axes(dx)), x.dtype)
        return (
            self._tensor(dx.reshape(x.shape), x.dtype),
            dbias,
            [self._tensor(total, x.dtype) for total in dlearned.values()],
        )

    def _arrays(
        self, op: str, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor]
    ) -> tuple[Array, Array | float, Mapping[str, Array]]:
        """Returns x as (rows, F), the bias (0 without one) and the coefficients by name."""
        self._computed(op, x, *coefficients, *(() if bias is None else (bias,)))
        self._check_activation(op, x, bias, expression, coefficients)
        rows = array_of(x).reshape(-1, x.shape[-1]) if x.size else array_of(x).reshape(0, x.shape[-1])
        names = [coefficient.name for coefficient in expression.coefficients()]
        learned = dict(zip(names, map(array_of, coefficients), strict=True))
        return rows, 0.0 if bias is None else array_of(bias), learned


def _blocks(rows: Array) -> Iterator[slice]:
    count = max(1, _BLOCK // max(1, rows.shape[-1]))
    for start in range(0, len(rows), count):
        yield slice(start, start + count)
