"""Elementwise ops: one launch each, over operands with any strides."""

import math

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError
from alpha_core.ops.elementwise import Operand
from alpha_core.shape import broadcast_shapes, operand_dtype, require_floating
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.engine import Following
from alpha_tensor.cpu.jit import KernelSpec
from alpha_tensor.cpu.kernels.elementwise import CONTIGUOUS, NUMBER, REPEATED, STRIDED, TARGET, elementwise
from alpha_tensor.cpu.layout import broadcast_strides, collapse
from alpha_tensor.cpu.ops.creation import CreationKernels, moved_as
from alpha_tensor.cpu.storage import row_major, view_of

__all__ = ["ElementwiseKernels"]

_ROWS_TO_SHARE = 16  # with fewer, threads share the columns


class ElementwiseKernels(CreationKernels):
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

    def _require_arithmetic(self, op: str, dtype: DType, integers: bool = True) -> None:
        if not (dtype in self.compute_dtypes or (integers and dtype is DType.i32)):
            raise DTypeError(f"`{op}`: `{self.name}` does not compute this in {dtype.value}", hint="use `cast`")

    def _mapped(self, op: str, operands: list[Operand], dtype: DType) -> Tensor:
        """Launches an op that makes a new tensor of `dtype`."""
        out = self.empty(broadcast_shapes(op, *(o.shape for o in operands if isinstance(o, Tensor))), dtype)
        self._fill(op, out, operands)
        return out

    def _fill(self, op: str, out: Tensor, operands: list[Operand]) -> None:
        """Launches an op whose result is `out`, which is contiguous. An operand that is `out` itself is updated."""
        if out.size == 0:
            return
        tensors = [operand for operand in operands if isinstance(operand, Tensor) and operand is not out]
        walks = [broadcast_strides(t.shape, view_of(t).strides, out.shape) for t in tensors]
        lengths, (_, *steps) = collapse(out.shape, [row_major(out.shape), *walks])
        values: list[int | float] = [int(math.prod(lengths[:-1]) >= _ROWS_TO_SHARE), *lengths]
        numbers: list[int | float] = []
        forms = ""
        ahead = iter(steps)
        for operand in operands:
            if operand is out:
                forms += TARGET
            elif isinstance(operand, Tensor):
                *outer, inner = next(ahead)
                form = {1: CONTIGUOUS, 0: REPEATED}.get(inner, STRIDED)
                forms += form
                values += [*outer, inner] if form == STRIDED else outer
            else:
                forms += NUMBER
                numbers.append(_plain(op, operand, out.dtype))
        updated = len(tensors) < sum(isinstance(operand, Tensor) for operand in operands)
        self.launch(
            KernelSpec.of(elementwise, op=op, types=_types(op, out, operands), forms=forms, outer=len(lengths) - 1),
            writes=[] if updated else [out],
            updates=[out] if updated else [],
            reads=tensors,
            values=[*values, *numbers],
            flops=0.0 if op in ("cast", "copy", "where") else float(out.size),
            adds=(out, tensors[0]) if op == "add" and updated and len(tensors) == 1 else None,
            follows=_sums(out, tensors) if op == "add" and not updated and len(tensors) == 2 else (),
        )

    def _chosen(self, value: float, dtype: DType) -> Operand:
        """Returns a plain number for an op that does not look at what it moves."""
        return self.full((), _plain("where", value, dtype), dtype)


def _sums(out: Tensor, tensors: list[Tensor]) -> list[Following]:
    """Says a + b in the ways in which the kernel that makes one of the two could do it."""
    pairs = (tensors, tensors[::-1])
    return [Following(source, out, addend) for source, addend in pairs if source.shape == out.shape]


def _plain(op: str, number: float, dtype: DType) -> int | float:
    if dtype.is_floating:
        return float(number)
    if not float(number).is_integer():
        raise DTypeError(f"`{op}`: the number {number} does not fit an {dtype.value} tensor", hint="use `cast`")
    return int(number)


def _types(op: str, out: Tensor, operands: list[Operand]) -> tuple[str, ...]:
    """Returns the element types of a result and its operands by name; what is only moved has no dtype."""
    own = moved_as(out.dtype) if op in ("copy", "where") else out.dtype.value
    looked_at = {"cast": 1, "where": 1}.get(op, 0)  # operands with a dtype of their own
    return own, *(
        operand.dtype.value if index < looked_at and isinstance(operand, Tensor) else own
        for index, operand in enumerate(operands)
    )
