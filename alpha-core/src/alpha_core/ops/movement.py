"""Ops that move elements without computing: reshape, transpose, broadcast, slice, join."""

from abc import abstractmethod
from collections.abc import Sequence

from alpha_core.op import op
from alpha_core.ops.elementwise import ElementwiseOps
from alpha_core.shape import normalize_axis, slice_grad_shape
from alpha_core.tensor import Shape, Tensor

__all__ = ["MovementOps"]


class MovementOps(ElementwiseOps):
    """For every dtype. Results are row-major tensors of their own; a backend may share storage that nobody writes."""

    @op
    @abstractmethod
    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """The same elements in row-major order under another shape; one length may be -1."""

    @op
    @abstractmethod
    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Permutes axes: result axis i is source axis `axes[i]`."""

    @op
    @abstractmethod
    def broadcast_to(self, x: Tensor, shape: Shape) -> Tensor:
        """Repeats x along axes of length 1 and new leading axes until it has `shape`."""

    @op
    @abstractmethod
    def slice(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        """x[..., start:stop, ...] along `axis`, with 0 <= start <= stop <= length."""

    @op
    def slice_grad(self, grad: Tensor, axis: int, start: int, length: int) -> Tensor:
        """Places `grad` at `start` in a tensor of zeros that is `length` long on `axis`."""
        axis = normalize_axis("slice_grad", axis, grad.ndim)
        slice_grad_shape(grad.shape, axis, start, length)
        before = (*grad.shape[:axis], start, *grad.shape[axis + 1 :])
        after = (*grad.shape[:axis], length - start - grad.shape[axis], *grad.shape[axis + 1 :])
        return self.cat([self.zeros(before, grad.dtype), grad, self.zeros(after, grad.dtype)], axis)

    @op
    @abstractmethod
    def cat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """Joins one or more tensors along `axis`; dtypes and all other lengths must agree."""
