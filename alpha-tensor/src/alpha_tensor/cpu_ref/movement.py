"""Movement of elements in numpy, mostly as views."""

from collections.abc import Sequence

import numpy as np

from alpha_core.errors import DTypeError, ShapeError
from alpha_core.shape import broadcast_shapes, cat_shape, normalize_axis, reshaped, slice_shape, transposed
from alpha_core.tensor import Shape, Tensor
from alpha_tensor.cpu_ref.elementwise import ElementwiseKernels
from alpha_tensor.cpu_ref.storage import array_of

__all__ = ["MovementKernels"]


class MovementKernels(ElementwiseKernels):
    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        return self._tensor(array_of(x).reshape(reshaped(x.shape, shape)), x.dtype)

    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        transposed(x.shape, axes)
        return self._tensor(array_of(x).transpose(axes), x.dtype)

    def broadcast_to(self, x: Tensor, shape: Shape) -> Tensor:
        if len(shape) < x.ndim or broadcast_shapes("broadcast_to", x.shape, shape) != shape:
            raise ShapeError(f"`broadcast_to`: {list(x.shape)} cannot become {list(shape)}")
        return self._tensor(np.broadcast_to(array_of(x), shape), x.dtype)

    def slice(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        axis = normalize_axis("slice", axis, x.ndim)
        slice_shape(x.shape, axis, start, stop)
        return self._tensor(array_of(x)[(slice(None),) * axis + (slice(start, stop),)], x.dtype)

    def cat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        if not tensors:
            raise ShapeError("`cat`: no tensors given")
        if len({tensor.dtype for tensor in tensors}) != 1:
            listed = ", ".join(sorted({tensor.dtype.value for tensor in tensors}))
            raise DTypeError(f"`cat`: tensors are {listed}; nothing is converted silently", hint="use `cast`")
        axis = normalize_axis("cat", axis, tensors[0].ndim)
        cat_shape([tensor.shape for tensor in tensors], axis)
        return self._tensor(np.concatenate([array_of(tensor) for tensor in tensors], axis), tensors[0].dtype)
