"""The backend `plain`: numpy in f32, and nothing but the ops that every backend must have."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from alpha_core.backend import Backend
from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_core.ops.elementwise import Operand
from alpha_core.random import RandomStream, dropout_threshold, random_bits
from alpha_core.shape import (
    argmax_axis,
    broadcast_shapes,
    broadcasted,
    cat_axis,
    cat_shape,
    dropout_row_size,
    gather_axis,
    matmul_shape,
    nonempty_axes,
    normalize_axes,
    normalize_axis,
    operand_dtype,
    plain_number,
    require_dtype,
    require_indices,
    require_shape,
    reshaped,
    slice_shape,
    top_k_shape,
    transposed,
)
from alpha_core.tensor import Shape, Tensor

__all__ = ["PlainBackend"]

Array = npt.NDArray[Any]
Axes = Sequence[int] | int | None


class PlainBackend(Backend):
    """`Tensor.storage` is a numpy array, which no op ever changes: what writes in place gives the tensor another one.

    So results may be views. bf16 values are kept in float32 arrays, which hold them exactly. Softmax, attention, the
    optimizer updates and all the rest are the composites of the contract.
    """

    name: ClassVar[str] = "plain"
    compute_dtypes: ClassVar[tuple[DType, ...]] = (DType.f32,)

    # storage

    def upload(self, array: Array, dtype: DType | None = None) -> Tensor:
        return _converted(array, dtype or DType.of(array))

    def download(self, x: Tensor) -> Array:
        return np.array(x.storage, order="C")

    def full(self, shape: Shape, value: float, dtype: DType = DType.f32) -> Tensor:
        return _converted(np.full(shape, value), dtype)

    def arange(self, length: int, dtype: DType = DType.i32) -> Tensor:
        return _converted(np.arange(length), dtype)

    def cast(self, x: Tensor, dtype: DType) -> Tensor:
        return _converted(x.storage, dtype)

    def assign(self, destination: Tensor, source: Tensor) -> None:
        require_shape("assign", "source", source, destination.shape)
        require_dtype("assign", "source", source, destination.dtype)
        destination.storage = source.storage

    # elementwise

    def add(self, a: Operand, b: Operand) -> Tensor:
        return self._elementwise("add", np.add, a, b)

    def sub(self, a: Operand, b: Operand) -> Tensor:
        return self._elementwise("sub", np.subtract, a, b)

    def mul(self, a: Operand, b: Operand) -> Tensor:
        return self._elementwise("mul", np.multiply, a, b)

    def div(self, a: Operand, b: Operand) -> Tensor:
        return self._elementwise("div", np.divide, a, b, integers=False)

    def maximum(self, a: Operand, b: Operand) -> Tensor:
        return self._elementwise("maximum", np.maximum, a, b)

    def greater(self, a: Operand, b: Operand) -> Tensor:
        return self._elementwise("greater", np.greater, a, b)

    def equal(self, a: Operand, b: Operand) -> Tensor:
        return self._elementwise("equal", np.equal, a, b)

    def where(self, condition: Tensor, a: Operand, b: Operand) -> Tensor:
        dtype = operand_dtype("where", a, b)
        broadcast_shapes("where", *(x.shape for x in (condition, a, b) if isinstance(x, Tensor)))
        return _tensor(
            np.where(condition.storage != 0, _operand("where", a, dtype), _operand("where", b, dtype)), dtype
        )

    def exp(self, x: Tensor) -> Tensor:
        return self._elementwise("exp", np.exp, x, integers=False)

    def log(self, x: Tensor) -> Tensor:
        return self._elementwise("log", np.log, x, integers=False)

    def sqrt(self, x: Tensor) -> Tensor:
        return self._elementwise("sqrt", np.sqrt, x, integers=False)

    def tanh(self, x: Tensor) -> Tensor:
        return self._elementwise("tanh", np.tanh, x, integers=False)

    def sign(self, x: Tensor) -> Tensor:
        return self._elementwise("sign", np.sign, x, integers=False)

    # movement

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        return _tensor(x.storage.reshape(reshaped(x.shape, shape)), x.dtype)

    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        transposed(x.shape, axes)
        return _tensor(x.storage.transpose(axes), x.dtype)

    def broadcast_to(self, x: Tensor, shape: Shape) -> Tensor:
        return _tensor(np.broadcast_to(x.storage, broadcasted(x.shape, shape)), x.dtype)

    def slice(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        axis = normalize_axis("slice", axis, x.ndim)
        slice_shape(x.shape, axis, start, stop)
        return _tensor(x.storage[(slice(None),) * axis + (slice(start, stop),)], x.dtype)

    def cat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        axis = cat_axis(tensors, axis)
        cat_shape([tensor.shape for tensor in tensors], axis)
        return _tensor(np.concatenate([tensor.storage for tensor in tensors], axis), tensors[0].dtype)

    # reduction and matrix products

    def sum(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        normal = normalize_axes("sum", axes, x.ndim)
        return self._computed("sum", lambda values: values.sum(normal, keepdims=keepdims), x)

    def max(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        normal = nonempty_axes("max", x.shape, axes)
        return self._computed("max", lambda values: values.max(normal, keepdims=keepdims), x)

    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        matmul_shape(a.shape, b.shape, transpose_a, transpose_b)

        def product(left: Array, right: Array) -> Array:
            left = left.swapaxes(-1, -2) if transpose_a else left
            right = right.swapaxes(-1, -2) if transpose_b else right
            return np.asarray(left @ right)

        return self._computed("matmul", product, a, b)

    # indexing

    def gather(self, x: Tensor, index: Tensor, axis: int) -> Tensor:
        axis = gather_axis(x, index, axis)
        require_indices("gather", index.storage, x.shape[axis])
        return _tensor(np.take_along_axis(x.storage, index.storage, axis), x.dtype)

    def argmax(self, x: Tensor, axis: int = -1) -> Tensor:
        axis = argmax_axis(x.shape, axis)
        return self._computed("argmax", lambda values: values.argmax(axis), x, result=DType.i32)

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        top_k_shape(x.shape, k)

        def best(values: Array) -> Array:
            return np.argsort(-values, axis=-1, kind="stable")[..., :k]

        order = self._computed("top_k", best, x, result=DType.i32)
        return self.gather(x, order, -1), order

    # randomness

    def dropout_mask(self, shape: Shape, rate: float, random: RandomStream, dtype: DType) -> Tensor:
        size = dropout_row_size("dropout_mask", shape, rate, random)
        bits = random_bits(random.seed, random.stream, int(random.step.storage), random.rows.storage, size)
        kept = np.where(bits >= dropout_threshold(rate), 1.0 / (1.0 - rate), 0.0)
        return _converted(kept.reshape(shape), dtype)

    # what the ops share

    def _elementwise(self, op: str, function: Callable[..., Any], *operands: Operand, integers: bool = True) -> Tensor:
        """Applies a function to operands that broadcast; `integers` says whether the op takes i32 too."""
        dtype = operand_dtype(op, *operands)
        self._require_arithmetic(op, dtype, integers)
        broadcast_shapes(op, *(x.shape for x in operands if isinstance(x, Tensor)))
        with np.errstate(all="ignore"):
            return _tensor(function(*(_operand(op, x, dtype) for x in operands)), dtype)

    def _computed(self, op: str, function: Callable[..., Any], *tensors: Tensor, result: DType = DType.f32) -> Tensor:
        """Applies a function to the arrays of f32 tensors."""
        self._require_computed(op, *tensors)
        with np.errstate(all="ignore"):
            return _tensor(function(*(x.storage for x in tensors)), result)


def _converted(values: Array, dtype: DType) -> Tensor:
    """Returns a tensor with a copy of `values`, rounded to what the dtype holds."""
    if dtype is DType.bf16:
        return Tensor(np.shape(values), dtype, bf16_values(bf16_bits(values)))
    with np.errstate(all="ignore"):
        return Tensor(np.shape(values), dtype, np.array(values, dtype.numpy))


def _tensor(values: Any, dtype: DType) -> Tensor:
    """Returns a tensor that holds `values`, which the dtype holds exactly."""
    array = np.asarray(values, np.float32 if dtype is DType.bf16 else dtype.numpy)
    return Tensor(array.shape, dtype, array)


def _operand(op: str, operand: Operand, dtype: DType) -> Array | float:
    """Returns the array of a tensor, or a plain number as one of the tensor's dtype."""
    if isinstance(operand, Tensor):
        array: Array = operand.storage
        return array
    return plain_number(op, operand, dtype)
