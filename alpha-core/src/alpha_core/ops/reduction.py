"""Reductions. `axes` None means all; reducing over an empty axis gives 0 (sum) or raises `ShapeError` (max, mean)."""

import math
from abc import abstractmethod
from collections.abc import Sequence

from alpha_core.op import op
from alpha_core.ops.movement import MovementOps
from alpha_core.shape import nonempty_axes, normalize_axes, reduced_shape
from alpha_core.tensor import Tensor

__all__ = ["ReductionOps"]

Axes = Sequence[int] | int | None


class ReductionOps(MovementOps):
    """The order of additions is fixed: the same input gives the same bits."""

    @op
    @abstractmethod
    def sum(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        """Sum over `axes`. Floating only."""

    @op
    @abstractmethod
    def max(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        """Largest value over `axes`; NaN if there is one."""

    @op
    def max_grad(self, grad: Tensor, x: Tensor, out: Tensor, axes: Axes = None) -> Tensor:
        """Gradient of `max`, shared equally among equal largest values; `grad` and `out` with or without kept axes."""
        normal = normalize_axes("max_grad", axes, x.ndim)
        kept = reduced_shape(x.shape, normal, True)
        winners = self.equal(x, self.reshape(out, kept))
        share = self.div(self.reshape(grad, kept), self.sum(winners, normal, True))
        return self.mul(winners, share)

    @op
    def mean(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        """Arithmetic mean over `axes`: sum(x) / n."""
        count = math.prod(x.shape[axis] for axis in nonempty_axes("mean", x.shape, axes))
        return self.mul(self.sum(x, axes, keepdims), 1.0 / count)

    @op
    def sum_of_squares(self, x: Tensor) -> Tensor:
        """Sum of x * x over all elements. ()"""
        return self.sum(self.square(x))

    @op
    def all_finite(self, x: Tensor) -> Tensor:
        """1 if no element is infinite or NaN, else 0, in x's dtype. (): an empty tensor is finite."""
        if x.size == 0:
            return self.full((), 1.0, x.dtype)
        finite = self.equal(self.sub(x, x), 0.0)  # inf - inf and NaN - NaN are NaN
        return self.sub(1.0, self.max(self.sub(1.0, finite)))

    @op
    def global_norm(self, tensors: Sequence[Tensor]) -> Tensor:
        """Euclidean norm of all elements of all tensors together: sqrt(sum of squares). ()"""
        total = self.sum_of_squares(tensors[0])
        for tensor in tensors[1:]:
            total = self.add(total, self.sum_of_squares(tensor))
        return self.sqrt(total)

    @op
    def clip_coefficient(self, norm: Tensor, limit: float) -> Tensor:
        """min(1, limit / norm): what gradients are multiplied by so that their norm is at most `limit`. ()"""
        return self.minimum(self.div(limit, self.maximum(norm, 1e-30)), 1.0)
