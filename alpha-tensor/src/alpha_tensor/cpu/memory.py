"""Buffers in the host's memory."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.recording.storage import ALIGNMENT, Buffer, view_of
from alpha_core.tensor import Tensor

__all__ = ["address_of", "allocate", "as_numpy", "base_address"]


def allocate(nbytes: int) -> Buffer:
    """Reserves bytes that start at a multiple of `ALIGNMENT`; the system gives pages when they are first used."""
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return Buffer(nbytes, raw[start : start + nbytes])


def base_address(buffer: Buffer) -> int:
    """Returns where a buffer begins."""
    assert buffer.memory is not None, "a recorded tensor has no address before its program is planned"
    address: int = buffer.memory.ctypes.data
    return address


def address_of(tensor: Tensor) -> int:
    """Returns where the first element of a tensor in memory is."""
    view = view_of(tensor)
    return base_address(view.buffer) + view.offset * tensor.dtype.itemsize


def as_numpy(tensor: Tensor) -> npt.NDArray[Any]:
    """Returns a numpy view of a tensor in memory."""
    view, dtype = view_of(tensor), tensor.dtype.numpy
    memory: npt.NDArray[np.uint8] = view.buffer.memory
    start = view.offset * dtype.itemsize
    count = 1 + sum((length - 1) * stride for length, stride in zip(tensor.shape, view.strides, strict=True))
    flat = memory[start : start + count * dtype.itemsize if 0 not in tensor.shape else start].view(dtype)
    strides = tuple(stride * dtype.itemsize for stride in view.strides)
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False)
