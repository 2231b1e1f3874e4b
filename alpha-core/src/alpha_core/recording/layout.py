"""Arithmetic on shapes and strides: which axes can be walked as one, and which reshapes need no copy."""

import math
from collections.abc import Sequence

from alpha_core.tensor import Shape

__all__ = ["broadcast_strides", "collapse", "reshape_strides"]

Strides = tuple[int, ...]


def broadcast_strides(shape: Shape, strides: Strides, target: Shape) -> Strides:
    """Returns the strides with which a tensor is read as if it had the shape `target`: 0 where it is repeated."""
    own = [0 if length == 1 else stride for length, stride in zip(shape, strides, strict=True)]
    return (0,) * (len(target) - len(shape)) + tuple(own)


def collapse(shape: Shape, strides: Sequence[Strides]) -> tuple[Shape, list[Strides]]:
    """Merges neighbouring axes that every operand walks without a jump, and drops axes of length 1.

    At least one axis remains.
    """
    lengths: list[int] = []
    walks: list[list[int]] = []
    for axis, length in enumerate(shape):
        if length == 1:
            continue
        steps = [operand[axis] for operand in strides]
        if walks and all(before == step * length for before, step in zip(walks[-1], steps, strict=True)):
            lengths[-1] *= length
            walks[-1] = steps
        else:
            lengths.append(length)
            walks.append(steps)
    if not lengths:
        lengths, walks = [1], [[1] * len(strides)]
    return tuple(lengths), [tuple(walk[operand] for walk in walks) for operand in range(len(strides))]


def reshape_strides(shape: Shape, strides: Strides, wanted: Shape) -> Strides | None:
    """Returns strides that show the same elements under another shape, or None where that takes a copy."""
    if math.prod(shape) == 0:
        return (0,) * len(wanted)
    lengths, (steps,) = collapse(shape, [strides])
    result: list[int] = []
    axis, left = len(lengths) - 1, lengths[-1]  # what of the current merged axis is not yet given away, from the right
    step = steps[-1]
    for length in reversed(wanted):
        if length == 1:
            result.append(0)
            continue
        if left == 1:
            axis -= 1
            left, step = lengths[axis], steps[axis]
        if left % length:
            return None
        result.append(step)
        step *= length
        left //= length
    return tuple(reversed(result))
