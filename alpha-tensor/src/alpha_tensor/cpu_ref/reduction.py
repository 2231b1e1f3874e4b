"""Reductions in numpy."""

import numpy as np

from alpha_core.ops.reduction import Axes
from alpha_core.shape import nonempty_axes, normalize_axes
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
        return self._tensor(values.max(nonempty_axes("max", x.shape, axes), keepdims=keepdims), x.dtype)

    @quiet()
    def sum_of_squares(self, x: Tensor) -> Tensor:
        (values,) = self._computed("sum_of_squares", x)
        return self._tensor(np.square(values).sum(), x.dtype)
