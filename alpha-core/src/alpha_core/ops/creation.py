"""Making tensors, and the two ways between host and backend."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType
from alpha_core.op import op
from alpha_core.tensor import Shape, Tensor

__all__ = ["CreationOps"]


class CreationOps(ABC):
    """`upload` and `download` are no ops: a recorded program has inputs and outputs instead."""

    @abstractmethod
    def upload(self, array: npt.NDArray[Any], dtype: DType | None = None) -> Tensor:
        """Copies a host array into a new tensor.

        Without `dtype` the tensor has the array's own (float64, float32, float16, int32 or int8; others raise
        `DTypeError`); with it, the values are converted. To bf16 values are rounded to the nearest, ties to even.
        """

    @abstractmethod
    def download(self, x: Tensor) -> npt.NDArray[Any]:
        """Copies a tensor into a new host array of the same shape, waiting for the device. bf16 arrives as float32."""

    @op
    @abstractmethod
    def full(self, shape: Shape, value: float, dtype: DType = DType.f32) -> Tensor:
        """Returns a tensor with `value` everywhere."""

    @op
    def zeros(self, shape: Shape, dtype: DType = DType.f32) -> Tensor:
        """Returns a tensor of zeros."""
        return self.full(shape, 0.0, dtype)

    @op
    @abstractmethod
    def arange(self, length: int, dtype: DType = DType.i32) -> Tensor:
        """Returns 0, 1, ..., length - 1. (length,)"""

    def constant(self, values: npt.NDArray[Any], dtype: DType) -> Tensor:
        """Uploads a table that the host computed, rounded to `dtype`; a recorder keeps it beside the program."""
        return self.upload(np.ascontiguousarray(values), dtype)
