"""Launches in native code: the table of a kernel's arguments, and calling it."""

import ctypes
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from alpha_core.recording.launch import Launch
from alpha_core.recording.reduction import ReductionLaunches
from alpha_core.recording.storage import Buffer
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.jit import Jit
from alpha_tensor.cpu.memory import address_of, allocate

__all__ = ["SIGNATURE", "CpuEngine", "argument_table"]

SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def argument_table(launch: Launch, address: Callable[[Tensor], int]) -> npt.NDArray[np.int64]:
    """Returns the arguments as the kernel reads them: ints as i64, floats as doubles."""
    tensors = launch.tensors
    slots = np.empty(len(tensors) + len(launch.values), np.int64)
    slots[: len(tensors)] = [address(tensor) for tensor in tensors]
    for slot, value in enumerate(launch.values, len(tensors)):
        if isinstance(value, float):
            slots[slot : slot + 1].view(np.float64)[0] = value
        else:
            slots[slot] = value
    return slots


class CpuEngine(ReductionLaunches):
    """An op that is called by itself runs on the calling thread."""

    jit: Jit

    def allocate(self, nbytes: int) -> Buffer:
        return allocate(nbytes)

    def execute(self, launch: Launch) -> None:
        table = argument_table(launch, address_of)
        SIGNATURE(self.jit.address(launch.spec))(table.ctypes.data, 0, 1)
