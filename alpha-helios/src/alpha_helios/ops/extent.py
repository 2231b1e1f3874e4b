"""How many workgroups kernels need, and how far their indices go."""

from alpha_core.recording.storage import view_of
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid

__all__ = ["WORKGROUP", "covering", "is_wide"]

WORKGROUP = 128
"""Invocations of a workgroup, as many as every device has."""
_MOST_IN_I32 = 1 << 30  # elements; an index may go beyond the last one by a workgroup


def covering(count: int, each: int = 1) -> tuple[int, int, int]:
    """Returns a grid of workgroups whose invocations take `each` of `count` elements."""
    return grid(-(-count // (each * WORKGROUP)))


def is_wide(*tensors: Tensor) -> bool:
    """Whether an element of one of the tensors may be too far from its first for an i32."""
    reaches = (
        sum((length - 1) * stride for length, stride in zip(tensor.shape, view_of(tensor).strides, strict=True))
        for tensor in tensors
    )
    return max(*reaches, *(tensor.size for tensor in tensors)) >= _MOST_IN_I32
