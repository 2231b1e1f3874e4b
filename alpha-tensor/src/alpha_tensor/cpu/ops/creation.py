"""The two ways between numpy and memory that kernels see."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType, bf16_values
from alpha_core.recording.creation import host_elements, moved_as
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import View, row_major
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.engine import CpuEngine
from alpha_tensor.cpu.kernels.copy import fill
from alpha_tensor.cpu.memory import as_numpy

__all__ = ["CreationKernels"]


class CreationKernels(CpuEngine):
    def upload(self, array: npt.NDArray[Any], dtype: DType | None = None) -> Tensor:
        """While a step is recorded, the new tensor is a constant of the program."""
        values = np.asarray(array)
        dtype = dtype or DType.of(values)
        buffer = self.allocate(values.size * dtype.itemsize)
        with np.errstate(all="ignore"):
            buffer.memory.view(dtype.numpy).reshape(values.shape)[...] = host_elements(values, dtype)
        return Tensor(values.shape, dtype, View(buffer, row_major(values.shape)))

    def download(self, x: Tensor) -> npt.NDArray[Any]:
        self._require_values(x)
        array = as_numpy(x)
        return bf16_values(array) if x.dtype is DType.bf16 else np.array(array, order="C")

    def _fill_with(self, out: Tensor, bits: int) -> None:
        self.launch(KernelSpec.of(fill, type_=moved_as(out.dtype)), writes=[out], values=[out.size, bits])
