"""Where a tensor's elements are: a view into a buffer."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import attrs

from alpha_core.dtype import DType
from alpha_core.tensor import Tensor

__all__ = [
    "ALIGNMENT",
    "Buffer",
    "Deferred",
    "View",
    "buffer_of",
    "is_contiguous",
    "row_major",
    "stored_bytes",
    "stored_dtype",
    "view_of",
]

ALIGNMENT = 64
"""Bytes. A cache line, the widest register of a CPU, and more than any vector that a GPU loads at once."""


@attrs.define(eq=False)
class Buffer:
    """A run of bytes. One with `memory` exists; one without belongs to a program that is being recorded."""

    nbytes: int
    memory: Any = None
    """What the backend knows the bytes by, such as an array or an allocation on a device."""


@attrs.frozen(eq=False)
class View:
    """Strides and offset count elements. A stride of 0 repeats an element."""

    buffer: Buffer
    strides: tuple[int, ...]
    offset: int = 0
    stored: DType | None = None
    """What elements are kept as where that is not the tensor's dtype: f16 or bf16 for an f32 tensor."""


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


def buffer_of(tensor: Tensor) -> Buffer:
    """Returns the buffer that a tensor looks into."""
    return view_of(tensor).buffer


def stored_dtype(tensor: Tensor) -> DType:
    """Returns what a tensor's elements are kept as."""
    return view_of(tensor).stored or tensor.dtype


def stored_bytes(tensor: Tensor) -> int:
    """Returns the bytes that a tensor's elements take where they are kept."""
    return tensor.size * stored_dtype(tensor).itemsize


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
