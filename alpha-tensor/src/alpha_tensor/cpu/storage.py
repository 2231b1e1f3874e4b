"""Where a tensor's elements are: a view into a buffer."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.tensor import Tensor

__all__ = ["Buffer", "Deferred", "View", "address_of", "as_numpy", "is_contiguous", "row_major", "view_of"]

ALIGNMENT = 64  # a cache line, and the widest register


@attrs.define(eq=False)
class Buffer:
    """A run of bytes. One with `memory` exists; one without belongs to a program that is being recorded."""

    nbytes: int
    memory: npt.NDArray[np.uint8] | None = None

    @classmethod
    def allocate(cls, nbytes: int) -> "Buffer":
        """Reserves bytes that start at a multiple of `ALIGNMENT`; the system gives pages when they are first used."""
        raw = np.empty(nbytes + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        return cls(nbytes, raw[start : start + nbytes])

    @property
    def address(self) -> int:
        assert self.memory is not None, "a recorded tensor has no address before its program is planned"
        return self.memory.ctypes.data


@attrs.frozen(eq=False)
class View:
    """Strides and offset count elements. A stride of 0 repeats an element."""

    buffer: Buffer
    strides: tuple[int, ...]
    offset: int = 0


class Deferred(ABC):
    """Stands in `Tensor.storage` for elements that are put somewhere only when somebody looks."""

    @abstractmethod
    def view(self) -> View:
        """Puts them there."""


def view_of(tensor: Tensor) -> View:
    """Returns where a tensor's elements are. Nothing else may look at `Tensor.storage`."""
    if isinstance(tensor.storage, Deferred):
        tensor.storage = tensor.storage.view()
    storage: View = tensor.storage
    return storage


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Returns the strides of a contiguous array."""
    strides, stride = [0] * len(shape), 1
    for axis in reversed(range(len(shape))):
        strides[axis] = stride
        stride *= shape[axis]
    return tuple(strides)


def is_contiguous(tensor: Tensor) -> bool:
    """Whether the elements stand in row-major order without gaps; axes of length 1 have any stride."""
    pairs = zip(tensor.shape, view_of(tensor).strides, row_major(tensor.shape), strict=True)
    return math.prod(tensor.shape) == 0 or all(length == 1 or have == need for length, have, need in pairs)


def address_of(tensor: Tensor) -> int:
    """Returns where the first element of a tensor in memory is."""
    view = view_of(tensor)
    return view.buffer.address + view.offset * tensor.dtype.itemsize


def as_numpy(tensor: Tensor) -> npt.NDArray[Any]:
    """Returns a numpy view of a tensor in memory."""
    view, dtype = view_of(tensor), tensor.dtype.numpy
    assert view.buffer.memory is not None
    start = view.offset * dtype.itemsize
    count = 1 + sum((length - 1) * stride for length, stride in zip(tensor.shape, view.strides, strict=True))
    flat = view.buffer.memory[start : start + count * dtype.itemsize if 0 not in tensor.shape else start].view(dtype)
    strides = tuple(stride * dtype.itemsize for stride in view.strides)
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False)
