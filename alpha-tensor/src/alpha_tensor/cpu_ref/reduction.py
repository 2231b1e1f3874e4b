"""Reductions in numpy."""

import numpy as np

from alpha_core.errors import ShapeError
from alpha_core.ops.reduction import Axes
from alpha_core.shape import normalize_axes
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.movement import MovementKernels
from alpha_tensor.cpu_ref.storage import quiet

__all__ = ["ReductionKernels"]


class ReductionKernels(MovementKernels):
    @quiet()
    def sum(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        (values,) = self._computed("sum", x)
        return self._tensor(values.sum(normalize_axes("sum", axes, x.ndim), keepdims=keepdims), x.dtype)

    @quiet()
    def max(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        (values,) = self._computed("max", x)
        normal = normalize_axes("max", axes, x.ndim)
        if any(x.shape[axis] == 0 for axis in normal):
            raise ShapeError(f"`max`: {list(x.shape)} has no elements along axes {list(normal)}")
        return self._tensor(values.max(normal, keepdims=keepdims), x.dtype)

    @quiet()
    def sum_of_squares(self, x: Tensor) -> Tensor:
        (values,) = self._computed("sum_of_squares", x)
        return self._tensor(np.square(values).sum(), x.dtype)
