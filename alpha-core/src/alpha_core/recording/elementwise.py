"""Elementwise ops: one launch each, over operands with any strides."""

from abc import abstractmethod

from alpha_core.dtype import DType
from alpha_core.ops.elementwise import Operand
from alpha_core.recording.creation import CreationLaunches
from alpha_core.recording.launch import Following
from alpha_core.shape import broadcast_shapes, operand_dtype, plain_number, require_floating
from alpha_core.tensor import Tensor

__all__ = ["ElementwiseLaunches", "sums"]


class ElementwiseLaunches(CreationLaunches):
    """A backend says with `_fill` how the ops are computed, by name."""

    def cast(self, x: Tensor, dtype: DType) -> Tensor:
        if x.dtype is dtype:
            return self._copied(x)
        return self._mapped("cast", [x], dtype)

    def add(self, a: Operand, b: Operand) -> Tensor:
        return self._computed("add", [a, b])

    def sub(self, a: Operand, b: Operand) -> Tensor:
        return self._computed("sub", [a, b])

    def mul(self, a: Operand, b: Operand) -> Tensor:
        return self._computed("mul", [a, b])

    def div(self, a: Operand, b: Operand) -> Tensor:
        return self._computed("div", [a, b], integers=False)

    def maximum(self, a: Operand, b: Operand) -> Tensor:
        return self._computed("maximum", [a, b])

    def minimum(self, a: Operand, b: Operand) -> Tensor:
        return self._computed("minimum", [a, b])

    def greater(self, a: Operand, b: Operand) -> Tensor:
        return self._computed("greater", [a, b])

    def equal(self, a: Operand, b: Operand) -> Tensor:
        return self._computed("equal", [a, b])

    def where(self, condition: Tensor, a: Operand, b: Operand) -> Tensor:
        dtype = operand_dtype("where", a, b)
        sides = [operand if isinstance(operand, Tensor) else self._chosen(operand, dtype) for operand in (a, b)]
        return self._mapped("where", [condition, *sides], dtype)

    def exp(self, x: Tensor) -> Tensor:
        return self._function("exp", x)

    def log(self, x: Tensor) -> Tensor:
        return self._function("log", x)

    def sqrt(self, x: Tensor) -> Tensor:
        return self._function("sqrt", x)

    def tanh(self, x: Tensor) -> Tensor:
        return self._function("tanh", x)

    def sigmoid(self, x: Tensor) -> Tensor:
        return self._function("sigmoid", x)

    def sign(self, x: Tensor) -> Tensor:
        return self._function("sign", x)

    def neg(self, x: Tensor) -> Tensor:
        return self._computed("neg", [x])

    def abs(self, x: Tensor) -> Tensor:
        return self._computed("abs", [x])

    def square(self, x: Tensor) -> Tensor:
        return self._computed("square", [x])

    def step(self, x: Tensor) -> Tensor:
        return self._computed("step", [x])

    def clamp(self, x: Tensor, low: float, high: float) -> Tensor:
        return self._computed("clamp", [x, low, high])

    def clamp_grad(self, grad: Tensor, x: Tensor, low: float, high: float) -> Tensor:
        return self._computed("clamp_grad", [grad, x, low, high])

    def _function(self, op: str, x: Tensor) -> Tensor:
        require_floating(op, x)
        return self._computed(op, [x], integers=False)

    def _computed(self, op: str, operands: list[Operand], integers: bool = True) -> Tensor:
        """Checks that the op computes in the operands' dtype, and launches it."""
        dtype = operand_dtype(op, *operands)
        self._require_arithmetic(op, dtype, integers)
        return self._mapped(op, operands, dtype)

    def _mapped(self, op: str, operands: list[Operand], dtype: DType) -> Tensor:
        """Launches an op that makes a new tensor of `dtype`."""
        tensors = [operand for operand in operands if isinstance(operand, Tensor)]
        out = self.result(broadcast_shapes(op, *(tensor.shape for tensor in tensors)), dtype, tensors)
        self._fill(op, out, operands)
        return out

    @abstractmethod
    def _fill(self, op: str, out: Tensor, operands: list[Operand]) -> None:
        """Launches an op whose result is `out`, which is contiguous. An operand that is `out` itself is updated.

        Beside the ops above there is `copy`. Says in the launch what `adds` and `follows` of `Launch` ask for.
        """

    def _chosen(self, value: float, dtype: DType) -> Operand:
        """Returns a plain number for an op that does not look at what it moves."""
        return self.full((), plain_number("where", value, dtype), dtype)


def sums(out: Tensor, tensors: list[Tensor]) -> list[Following]:
    """Says a + b in the ways in which the kernel that makes one of the two could do it."""
    pairs = (tensors, tensors[::-1])
    return [Following(source, out, addend) for source, addend in pairs if source.shape == out.shape]
