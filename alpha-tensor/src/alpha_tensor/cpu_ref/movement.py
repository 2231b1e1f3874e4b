"""Movement of elements in numpy, mostly as views."""

from collections.abc import Sequence

import numpy as np

from alpha_core.shape import broadcasted, cat_axis, cat_shape, normalize_axis, reshaped, slice_shape, transposed
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
        return self._tensor(np.broadcast_to(array_of(x), broadcasted(x.shape, shape)), x.dtype)

    def slice(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        axis = normalize_axis("slice", axis, x.ndim)
        slice_shape(x.shape, axis, start, stop)
        return self._tensor(array_of(x)[(slice(None),) * axis + (slice(start, stop),)], x.dtype)

    def cat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        axis = cat_axis(tensors, axis)
        cat_shape([tensor.shape for tensor in tensors], axis)
        return self._tensor(np.concatenate([array_of(tensor) for tensor in tensors], axis), tensors[0].dtype)
