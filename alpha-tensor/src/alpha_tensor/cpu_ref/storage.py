"""Tensors that are numpy arrays, and the way between host and tensor."""

from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_core.tensor import Shape, Tensor

__all__ = ["Array", "NumpyStorage", "array_of", "lead_axes", "quiet"]

Array = npt.NDArray[Any]


def array_of(x: Tensor) -> Array:
    """Returns the array that a tensor of this backend holds (bit patterns for bf16)."""
    return cast(Array, x.storage)


class NumpyStorage(Backend):
    """`Tensor.storage` is an array of `dtype.numpy` with the tensor's shape."""

    compute_dtypes: ClassVar[tuple[DType, ...]] = (DType.f32, DType.f64)

    def upload(self, array: Array, dtype: DType | None = None) -> Tensor:
        return self._cast(np.asarray(array), dtype or DType.of(array))

    def download(self, x: Tensor) -> Array:
        array = array_of(x)
        return bf16_values(array) if x.dtype is DType.bf16 else np.array(array, order="C")

    def full(self, shape: Shape, value: float, dtype: DType = DType.f32) -> Tensor:
        return self._cast(np.full(shape, value), dtype)

    def arange(self, length: int, dtype: DType = DType.i32) -> Tensor:
        return self._cast(np.arange(length), dtype)

    def _cast(self, values: Array, dtype: DType) -> Tensor:
        """Returns a tensor with a converted copy of `values`."""
        if dtype is DType.bf16:
            return Tensor(values.shape, dtype, bf16_bits(values))
        with np.errstate(all="ignore"):
            return Tensor(values.shape, dtype, np.array(values, dtype=dtype.numpy, order="C"))

    def _tensor(self, values: Array | np.generic, dtype: DType) -> Tensor:
        """Returns a tensor that holds `values`, which have the right element type already."""
        array = np.asarray(values, dtype=dtype.numpy)
        return Tensor(array.shape, dtype, array)

    def _computed(self, op: str, *tensors: Tensor) -> list[Array]:
        """Returns the arrays of floating operands of one dtype in which this backend computes."""
        self._require_computed(op, *tensors)
        return [array_of(tensor) for tensor in tensors]


def quiet() -> np.errstate:
    """Infinities and NaN are values, not warnings (usable as a decorator)."""
    return np.errstate(all="ignore")


def lead_axes(array: Array) -> tuple[int, ...]:
    """Returns all axes but the last."""
    return tuple(range(array.ndim - 1))
