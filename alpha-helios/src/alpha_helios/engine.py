"""Launching on a device: tensors in its memory, launches that are queued and run together, or noted down."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType, bf16_values
from alpha_core.recording.creation import host_elements
from alpha_core.recording.launch import Launch
from alpha_core.recording.reduction import ReductionLaunches
from alpha_core.recording.storage import Buffer, View, is_contiguous, row_major, stored_dtype, view_of
from alpha_core.tensor import Shape, Tensor
from alpha_helios.compiler import Compiler
from alpha_helios.eager import EagerQueue
from alpha_helios.tuner import Tuner
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["HeliosEngine"]


class HeliosEngine(ReductionLaunches):
    """An op that is called by itself goes into a queue, which runs when somebody looks at a result or it is long."""

    device: Device
    compiler: Compiler
    queue: EagerQueue
    tuner: Tuner
    matmul_dtype: DType
    """What products are computed from and activations are stored in: f32, f16 or bf16."""

    @property
    def info(self) -> DeviceInfo:
        """What the device is and can do."""
        return self.device.info

    def allocate(self, nbytes: int) -> Buffer:
        buffer = Buffer(nbytes)
        self.give_memory(buffer)
        return buffer

    def give_memory(self, buffer: Buffer) -> None:
        """Lets a buffer exist, until nobody refers to it."""
        buffer.memory = self.device.memory.allocate(buffer.nbytes, "a tensor")
        weakref.finalize(buffer, buffer.memory.free).atexit = False

    def activation(self, shape: Shape) -> Tensor:
        """Returns an f32 tensor that is stored in the dtype of products, with undefined contents."""
        return self._made(shape, DType.f32, None if self.matmul_dtype is DType.f32 else self.matmul_dtype)

    def result(self, shape: Shape, dtype: DType, operands: Sequence[Tensor]) -> Tensor:
        """Stores an f32 result in 16 bits if one of the operands is stored so."""
        kept = (view_of(operand).stored for operand in operands) if dtype is DType.f32 else ()
        return self._made(shape, dtype, next((stored for stored in kept if stored is not None), None))

    def upload(self, array: npt.NDArray[Any], dtype: DType | None = None) -> Tensor:
        """While a step is recorded, the new tensor is a constant of the program."""
        values = np.asarray(array)
        dtype = dtype or DType.of(values)
        buffer = self.allocate(values.size * dtype.itemsize)
        with np.errstate(all="ignore"):
            elements = np.ascontiguousarray(host_elements(values, dtype), dtype.numpy)
        self.queue.flush()  # the memory may have been that of a tensor which a queued launch still reads
        self.device.staging.upload(buffer.memory, elements)
        return Tensor(values.shape, dtype, View(buffer, row_major(values.shape)))

    def download(self, x: Tensor) -> npt.NDArray[Any]:
        return self.start_download(x)()

    def start_download(self, x: Tensor) -> Callable[[], npt.NDArray[Any]]:
        self._require_values(x)
        if x.size == 0:
            return lambda: np.empty(x.shape, np.float32 if x.dtype is DType.bf16 else x.dtype.numpy)
        if not is_contiguous(x):
            x = self._copied(x)
        self.queue.flush()
        shape, dtype, view, stored = x.shape, x.dtype, view_of(x), stored_dtype(x)
        nbytes = x.size * stored.itemsize
        start = view.offset * stored.itemsize if nbytes else 0  # an empty view may begin behind the end
        pending = self.device.staging.start_download(view.buffer.memory, start, nbytes)

        def array() -> npt.NDArray[Any]:
            elements = np.frombuffer(pending.result(), stored.numpy).reshape(shape)
            return bf16_values(elements) if stored is DType.bf16 else elements.astype(dtype.numpy)

        return array

    def contiguous(self, x: Tensor) -> Tensor:
        """Also copies what begins between vectors of 4 elements.

        Results of ops that are called begin at one. Kernels that add up in vectors then do so in the same order in a
        recorded step, where tensors are views.
        """
        aligned = x.size == 1 or view_of(x).offset % 4 == 0
        return x if aligned and is_contiguous(x) else self._copied(x)

    def execute(self, launch: Launch) -> None:
        self.queue.add(launch)
