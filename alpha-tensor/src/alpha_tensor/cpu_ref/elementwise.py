"""Elementwise ops in numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alpha_core.dtype import DType, bf16_values
from alpha_core.ops.elementwise import Operand
from alpha_core.shape import broadcast_shapes, operand_dtype, plain_number
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.storage import Array, NumpyStorage, array_of, quiet

__all__ = ["ElementwiseKernels"]


class ElementwiseKernels(NumpyStorage):
    def cast(self, x: Tensor, dtype: DType) -> Tensor:
        if x.dtype is dtype:
            return self._tensor(array_of(x), dtype)
        values = bf16_values(array_of(x)) if x.dtype is DType.bf16 else array_of(x)
        return self._cast(values, dtype)

    def add(self, a: Operand, b: Operand) -> Tensor:
        return self._binary("add", np.add, a, b)

    def sub(self, a: Operand, b: Operand) -> Tensor:
        return self._binary("sub", np.subtract, a, b)

    def mul(self, a: Operand, b: Operand) -> Tensor:
        return self._binary("mul", np.multiply, a, b)

    def div(self, a: Operand, b: Operand) -> Tensor:
        return self._binary("div", np.divide, a, b, integers=False)

    def maximum(self, a: Operand, b: Operand) -> Tensor:
        return self._binary("maximum", np.maximum, a, b)

    def minimum(self, a: Operand, b: Operand) -> Tensor:
        return self._binary("minimum", np.minimum, a, b)

    def greater(self, a: Operand, b: Operand) -> Tensor:
        return self._binary("greater", np.greater, a, b)

    def equal(self, a: Operand, b: Operand) -> Tensor:
        return self._binary("equal", np.equal, a, b)

    def where(self, condition: Tensor, a: Operand, b: Operand) -> Tensor:
        dtype = operand_dtype("where", a, b)
        shapes = [operand.shape for operand in (condition, a, b) if isinstance(operand, Tensor)]
        broadcast_shapes("where", *shapes)
        values = bf16_values(array_of(condition)) if condition.dtype is DType.bf16 else array_of(condition)
        chosen = np.where(values != 0, self._operand("where", a, dtype), self._operand("where", b, dtype))
        return self._tensor(chosen, dtype)

    def exp(self, x: Tensor) -> Tensor:
        return self._unary("exp", np.exp, x)

    def log(self, x: Tensor) -> Tensor:
        return self._unary("log", np.log, x)

    def sqrt(self, x: Tensor) -> Tensor:
        return self._unary("sqrt", np.sqrt, x)

    def tanh(self, x: Tensor) -> Tensor:
        return self._unary("tanh", np.tanh, x)

    def sign(self, x: Tensor) -> Tensor:
        return self._unary("sign", np.sign, x)

    @quiet()
    def _unary(self, op: str, function: Callable[..., Any], x: Tensor) -> Tensor:
        (values,) = self._computed(op, x)
        return self._tensor(function(values), x.dtype)

    @quiet()
    def _binary(self, op: str, function: Callable[..., Any], a: Operand, b: Operand, integers: bool = True) -> Tensor:
        dtype = operand_dtype(op, a, b)
        if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape != b.shape:
            broadcast_shapes(op, a.shape, b.shape)
        self._require_arithmetic(op, dtype, integers)
        return self._tensor(function(self._operand(op, a, dtype), self._operand(op, b, dtype)), dtype)

    def _operand(self, op: str, operand: Operand, dtype: DType) -> Array | float:
        return array_of(operand) if isinstance(operand, Tensor) else plain_number(op, operand, dtype)
