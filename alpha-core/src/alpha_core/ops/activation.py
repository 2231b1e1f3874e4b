"""Activations from expressions, with the bias added in the same pass."""

from collections.abc import Sequence

from alpha_core.errors import OpError
from alpha_core.expression import Expression, X
from alpha_core.op import op
from alpha_core.ops.normalization import NormalizationOps
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor

__all__ = ["ActivationOps"]


class ActivationOps(NormalizationOps):
    """A compiling backend overrides these two with one fused kernel each; every expression is then fast at once."""

    @op
    def bias_activation(
        self, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor] = ()
    ) -> Tensor:
        """expression(x + bias). x (..., F), bias (F,), one (F,) for each of `expression.coefficients()`."""
        self._check_activation("bias_activation", x, bias, expression, coefficients)
        preactivation, values = self._activation_inputs(x, bias, expression, coefficients)
        return self._spread(expression.evaluate(self, preactivation, values), x)

    @op
    def bias_activation_grad(
        self,
        grad: Tensor,
        x: Tensor,
        bias: Tensor | None,
        expression: Expression,
        coefficients: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        """Gradients for x (..., F), bias (F,) (None without one) and each coefficient (F,)."""
        self._check_activation("bias_activation_grad", x, bias, expression, coefficients)
        require_shape("bias_activation_grad", "grad", grad, x.shape)
        preactivation, values = self._activation_inputs(x, bias, expression, coefficients)
        lead = tuple(range(x.ndim - 1))

        def product(derivative: Expression) -> Tensor:
            return self.mul(grad, self._spread(derivative.evaluate(self, preactivation, values), x))

        dx = product(expression.derivative(X))
        dbias = None if bias is None else self.sum(dx, lead)
        return dx, dbias, [self.sum(product(expression.derivative(c)), lead) for c in expression.coefficients()]

    def _activation_inputs(
        self, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        names = [coefficient.name for coefficient in expression.coefficients()]
        return (x if bias is None else self.add(x, bias)), dict(zip(names, coefficients, strict=True))

    @staticmethod
    def _check_activation(
        op: str, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor]
    ) -> None:
        names = [coefficient.name for coefficient in expression.coefficients()]
        if len(names) != len(coefficients):
            raise OpError(
                f"`{op}`: the expression has {len(names)} coefficients ({names}); given are {len(coefficients)}"
            )
        for name, tensor in (("bias", bias), *zip(names, coefficients, strict=True)):
            if tensor is not None:
                require_shape(op, name, tensor, x.shape[-1:])

    def _spread(self, value: Tensor | float, x: Tensor) -> Tensor:
        """Gives a value that does not depend on every element of x the shape of x."""
        if not isinstance(value, Tensor):
            return self.full(x.shape, value, x.dtype)
        return value if value.shape == x.shape else self.broadcast_to(value, x.shape)
