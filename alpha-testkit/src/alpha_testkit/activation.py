"""The conformance kit of activations."""

import json
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType
from alpha_core.expression import Coefficient, Expression, Input, X
from alpha_core.expression_json import expression_from_json
from alpha_core.tensor import Tensor
from alpha_testkit.compare import Tolerance, assert_close, rounded
from alpha_testkit.numpy_algebra import complex_step, evaluate
from alpha_testkit.uses_backend import UsesBackend

__all__ = ["ActivationConformance"]

Array = npt.NDArray[Any]

EVALUATED = Tolerance(64, "a tree of some dozen roundings, some of which cancel", of_largest=True)


class ActivationConformance(UsesBackend, kit=True):
    """Holds an activation to what models need: it survives JSON, is finite, and has the derivatives that it should.

    ```python
    class TestMyActivation(ActivationConformance):
        def make_expression(self):
            return X * sigmoid(1.702 * X)
    ```
    """

    largest_input: ClassVar[float] = 1e4
    """Values and derivatives are finite in f32 up to here."""

    def make_expression(self) -> Expression:
        """Returns the activation. The author defines this."""
        raise NotImplementedError(f"`{type(self).__name__}` must define `make_expression`")

    def test_json(self) -> None:
        """The expression survives JSON as text."""
        expression = self.make_expression()
        again = expression_from_json(json.loads(json.dumps(expression.to_json(), allow_nan=False)))
        assert again == expression
        assert again.coefficients() == expression.coefficients()

    def test_same_each_time(self) -> None:
        """Loading the activation twice gives equal expressions."""
        assert self.make_expression() == self.make_expression()

    def test_coefficients(self) -> None:
        """Coefficients have names that parameters can have, each one initial value, and it is finite."""
        for coefficient in self.make_expression().coefficients():
            assert coefficient.name.isidentifier()
            assert np.isfinite(coefficient.initial)

    def test_depends_on_its_input(self) -> None:
        """The value changes with x."""
        expression = self.make_expression()
        assert any(isinstance(node, Input) for node in expression.nodes())
        x, coefficients = _points(expression, 0.0)
        assert np.ptp(evaluate(expression, x, coefficients)) > 0

    def test_derivatives(self) -> None:
        """The symbolic derivatives for x and each coefficient are those of the values, near 0 and far from it."""
        expression = self.make_expression()
        for spread in (0.0, 0.5):
            x, coefficients = _points(expression, spread)
            variables: list[Input | Coefficient] = [X, *expression.coefficients()]
            for variable in variables:
                name = variable.name if isinstance(variable, Coefficient) else None
                symbolic = expression.derivative(variable)
                got = np.broadcast_to(evaluate(symbolic, x, coefficients), x.shape)
                want = complex_step(expression, x, coefficients, name)
                np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12, err_msg=f"derivative for {name or 'x'}")

    def test_finite(self) -> None:
        """Values and slopes in f32 are finite for very small and very large inputs, at the initial coefficients."""
        expression = self.make_expression()
        magnitudes = np.concatenate([[0.0, 1e-30], np.geomspace(1e-6, self.largest_input, 60)])
        x = np.concatenate([-magnitudes[::-1], magnitudes])[:, None]  # (points, 1)
        coefficients = {c.name: np.full(1, c.initial) for c in expression.coefficients()}
        arguments = self._upload(expression, x, np.zeros(1), coefficients)
        values = self.backend.download(self.backend.bias_activation(*arguments))
        assert np.isfinite(values).all(), f"infinite or NaN at x = {x[~np.isfinite(values)]}"
        slopes, _, _ = self.backend.bias_activation_grad(self.backend.full(x.shape, 1.0), *arguments)
        gradient = self.backend.download(slopes)
        assert np.isfinite(gradient).all(), f"the slope is infinite or NaN at x = {x[~np.isfinite(gradient)]}"

    def test_backend(self) -> None:
        """Values and gradients on a backend agree with those of numpy in float64."""
        expression = self.make_expression()
        generator = np.random.default_rng(0)
        x, bias = rounded(generator.normal(0, 2, (33, 7)), DType.f32), rounded(generator.normal(0, 0.5, 7), DType.f32)
        grad = rounded(generator.standard_normal((33, 7)), DType.f32)
        coefficients = {
            c.name: rounded(c.initial + generator.normal(0, 0.1, 7), DType.f32) for c in expression.coefficients()
        }
        arguments = self._upload(expression, x, bias, coefficients)
        values = np.broadcast_to(evaluate(expression, x + bias, coefficients), x.shape)
        self._compare("the value", self.backend.bias_activation(*arguments), values)
        dx, dbias, dcoefficients = self.backend.bias_activation_grad(self.backend.upload(grad, DType.f32), *arguments)
        slopes = grad * complex_step(expression, x + bias, coefficients, None)
        self._compare("the gradient for x", dx, slopes)
        assert dbias is not None
        self._compare("the gradient for the bias", dbias, slopes.sum(0))
        for name, got in zip(coefficients, dcoefficients, strict=True):
            want = (grad * complex_step(expression, x + bias, coefficients, name)).sum(0)
            self._compare(f"the gradient for `{name}`", got, want)

    def _upload(
        self, expression: Expression, x: Array, bias: Array, coefficients: dict[str, Array]
    ) -> tuple[Tensor, Tensor, Expression, list[Tensor]]:
        tensors = [self.backend.upload(array, DType.f32) for array in (x, bias, *coefficients.values())]
        return tensors[0], tensors[1], expression, tensors[2:]

    def _compare(self, what: str, got: Tensor, want: Array) -> None:
        assert_close(what, self.backend.download(got), want, DType.f32, EVALUATED)


def _points(expression: Expression, spread: float) -> tuple[Array, dict[str, Array]]:
    """Returns inputs, half of them near 0, and coefficients at or around their initial values. All (400,)"""
    generator = np.random.default_rng(0)
    x = np.concatenate([generator.uniform(-1, 1, 200), generator.uniform(-30, 30, 200)])
    return x, {c.name: c.initial + spread * generator.standard_normal(400) for c in expression.coefficients()}
