"""Making tensors: values in their host representation, and constants of which a recorded step keeps one element."""

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType, bf16_bits
from alpha_core.errors import BackendError
from alpha_core.recording.engine import Engine
from alpha_core.recording.storage import View, buffer_of
from alpha_core.tensor import Shape, Tensor

__all__ = ["CreationLaunches", "host_elements", "moved_as"]


class CreationLaunches(Engine):
    """A backend says how to upload, download and fill."""

    def full(self, shape: Shape, value: float, dtype: DType = DType.f32) -> Tensor:
        with np.errstate(all="ignore"):
            element = np.ascontiguousarray(host_elements(np.asarray(value), dtype), dtype.numpy)
        bits = int.from_bytes(element.tobytes(), "little", signed=True)
        # In a program one element is enough: its readers repeat it.
        repeated = self.recorder is not None and 0 not in shape
        out = self.empty((1,) * len(shape) if repeated else tuple(shape), dtype)
        if out.size:
            self._fill_with(out, bits)
        return Tensor(tuple(shape), dtype, View(buffer_of(out), (0,) * len(shape))) if repeated else out

    def arange(self, length: int, dtype: DType = DType.i32) -> Tensor:
        return self.upload(np.arange(length), dtype)

    @abstractmethod
    def _fill_with(self, out: Tensor, bits: int) -> None:
        """Writes the same bits, a signed integer as wide as an element, to every element of a contiguous tensor."""

    def _require_values(self, x: Tensor) -> None:
        """Raises `BackendError` for the download of a tensor that has no values."""
        if self.recorder is not None:
            raise BackendError(
                "`download`: a step is being recorded, so its tensors have no values yet",
                hint="return the tensor from the recorded function, and download it after the call",
            )
        if buffer_of(x).memory is None:
            raise BackendError(
                "`download`: the tensor is an intermediate of a recorded program, which keeps only what it returns",
                hint="return the tensor from the recorded function",
            )


def moved_as(dtype: DType) -> str:
    """Returns the element type with which kernels move elements of a dtype without looking at them."""
    return {1: "i8", 2: "i16", 4: "i32", 8: "i64"}[dtype.itemsize]


def host_elements(values: npt.NDArray[Any], dtype: DType) -> npt.NDArray[Any]:
    """Returns values in the host representation of `dtype`."""
    return bf16_bits(values) if dtype is DType.bf16 else values.astype(dtype.numpy)
