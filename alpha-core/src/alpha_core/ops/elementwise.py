"""Elementwise ops, with numpy's broadcasting. Operands have one dtype; a plain number takes on the tensor's."""

from abc import abstractmethod

from alpha_core.dtype import DType
from alpha_core.op import op
from alpha_core.ops.creation import CreationOps
from alpha_core.tensor import Tensor

__all__ = ["ElementwiseOps", "Operand"]

Operand = Tensor | float


class ElementwiseOps(CreationOps):
    """IEEE 754 throughout: division by zero, overflow and NaN give infinities and NaN, never an error."""

    @op
    @abstractmethod
    def cast(self, x: Tensor, dtype: DType) -> Tensor:
        """Converts elements: to nearest even, or for i32 and i8 truncated toward zero. Any dtype to any."""

    @op
    @abstractmethod
    def add(self, a: Operand, b: Operand) -> Tensor:
        """a + b. Also for i32."""

    @op
    @abstractmethod
    def sub(self, a: Operand, b: Operand) -> Tensor:
        """a - b. Also for i32."""

    @op
    @abstractmethod
    def mul(self, a: Operand, b: Operand) -> Tensor:
        """a * b. Also for i32."""

    @op
    @abstractmethod
    def div(self, a: Operand, b: Operand) -> Tensor:
        """a / b, floating only."""

    @op
    @abstractmethod
    def maximum(self, a: Operand, b: Operand) -> Tensor:
        """The larger of two values; NaN when either is NaN. Also for i32."""

    @op
    def minimum(self, a: Operand, b: Operand) -> Tensor:
        """The smaller of two values; NaN when either is NaN: -max(-a, -b). Also for i32."""
        return self.neg(self.maximum(self._negated(a), self._negated(b)))

    @op
    @abstractmethod
    def greater(self, a: Operand, b: Operand) -> Tensor:
        """1 where a > b, else 0 (also where either is NaN). The result has the operands' dtype. Also for i32."""

    @op
    @abstractmethod
    def equal(self, a: Operand, b: Operand) -> Tensor:
        """1 where a == b, else 0 (also where either is NaN). The result has the operands' dtype. Also for i32."""

    @op
    @abstractmethod
    def where(self, condition: Tensor, a: Operand, b: Operand) -> Tensor:
        """a where `condition` is not 0, else b. An unselected NaN does not show. `condition` may have any dtype."""

    @op
    @abstractmethod
    def exp(self, x: Tensor) -> Tensor:
        """e to the power of x."""

    @op
    @abstractmethod
    def log(self, x: Tensor) -> Tensor:
        """Natural logarithm; -inf at 0, NaN below."""

    @op
    @abstractmethod
    def sqrt(self, x: Tensor) -> Tensor:
        """Square root; NaN below 0."""

    @op
    @abstractmethod
    def tanh(self, x: Tensor) -> Tensor:
        """Hyperbolic tangent."""

    @op
    @abstractmethod
    def sign(self, x: Tensor) -> Tensor:
        """-1, 0 or 1; NaN for NaN."""

    @op
    def neg(self, x: Tensor) -> Tensor:
        """-x. Also for i32."""
        return self.mul(x, -1.0)

    @op
    def abs(self, x: Tensor) -> Tensor:
        """|x|. Also for i32."""
        return self.maximum(x, self.neg(x))

    @op
    def square(self, x: Tensor) -> Tensor:
        """x * x."""
        return self.mul(x, x)

    @op
    def step(self, x: Tensor) -> Tensor:
        """1 where x > 0, else 0: the derivative of relu."""
        return self.greater(x, 0.0)

    @op
    def sigmoid(self, x: Tensor) -> Tensor:
        """1 / (1 + exp(-x)), as (1 + tanh(x / 2)) / 2, which neither overflows nor cancels."""
        return self.add(self.mul(self.tanh(self.mul(x, 0.5)), 0.5), 0.5)

    @op
    def clamp(self, x: Tensor, low: float, high: float) -> Tensor:
        """x limited to [low, high]; NaN stays NaN."""
        return self.minimum(self.maximum(x, low), high)

    @op
    def clamp_grad(self, grad: Tensor, x: Tensor, low: float, high: float) -> Tensor:
        """grad where low < x < high, else 0."""
        inside = self.mul(self.greater(x, low), self.greater(high, x))
        return self.where(inside, grad, 0.0)

    def _negated(self, x: Operand) -> Operand:
        return self.neg(x) if isinstance(x, Tensor) else -x
