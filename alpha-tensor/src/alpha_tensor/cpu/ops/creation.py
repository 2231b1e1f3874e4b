"""Making tensors, and the two ways between numpy and memory that kernels see."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_core.errors import BackendError
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import View, row_major, view_of
from alpha_core.tensor import Shape, Tensor
from alpha_tensor.cpu.engine import CpuEngine
from alpha_tensor.cpu.kernels.copy import fill
from alpha_tensor.cpu.memory import as_numpy

__all__ = ["CreationKernels", "moved_as"]


class CreationKernels(CpuEngine):
    def upload(self, array: npt.NDArray[Any], dtype: DType | None = None) -> Tensor:
        """While a step is recorded, the new tensor is a constant of the program."""
        values = np.asarray(array)
        dtype = dtype or DType.of(values)
        buffer = self.allocate(values.size * dtype.itemsize)
        with np.errstate(all="ignore"):
            buffer.memory.view(dtype.numpy).reshape(values.shape)[...] = _elements(values, dtype)
        return Tensor(values.shape, dtype, View(buffer, row_major(values.shape)))

    def download(self, x: Tensor) -> npt.NDArray[Any]:
        if self.recorder is not None:
            raise BackendError(
                "`download`: a step is being recorded, so its tensors have no values yet",
                hint="return the tensor from the recorded function, and download it after the call",
            )
        if view_of(x).buffer.memory is None:
            raise BackendError(
                "`download`: the tensor is an intermediate of a recorded program, which keeps only what it returns",
                hint="return the tensor from the recorded function",
            )
        array = as_numpy(x)
        return bf16_values(array) if x.dtype is DType.bf16 else np.array(array, order="C")

    def full(self, shape: Shape, value: float, dtype: DType = DType.f32) -> Tensor:
        with np.errstate(all="ignore"):
            element = np.ascontiguousarray(_elements(np.asarray(value), dtype), dtype.numpy)
        bits = int.from_bytes(element.tobytes(), "little", signed=True)
        # In a program one element is enough: its readers repeat it.
        repeated = self.recorder is not None and 0 not in shape
        out = self.empty((1,) * len(shape) if repeated else tuple(shape), dtype)
        if out.size:
            self.launch(KernelSpec.of(fill, type_=moved_as(dtype)), writes=[out], values=[out.size, bits])
        return Tensor(tuple(shape), dtype, View(view_of(out).buffer, (0,) * len(shape))) if repeated else out

    def arange(self, length: int, dtype: DType = DType.i32) -> Tensor:
        return self.upload(np.arange(length), dtype)


def moved_as(dtype: DType) -> str:
    """Returns the element type with which kernels move elements of a dtype without looking at them."""
    return {1: "i8", 2: "i16", 4: "i32", 8: "i64"}[dtype.itemsize]


def _elements(values: npt.NDArray[Any], dtype: DType) -> npt.NDArray[Any]:
    """Returns values in the host representation of `dtype`."""
    return bf16_bits(values) if dtype is DType.bf16 else values.astype(dtype.numpy)
