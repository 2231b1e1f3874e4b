"""Ops that select elements by integer tensors. Indices are i32; what lies outside raises `OpError` on a backend that
can see it, and is undefined on one that cannot (callers check token ids on the host)."""

from abc import abstractmethod

from alpha_core.dtype import DType
from alpha_core.errors import ShapeError
from alpha_core.op import op
from alpha_core.ops.matmul import MatmulOps
from alpha_core.shape import normalize_axis, require_dtype, require_shape
from alpha_core.tensor import Tensor

__all__ = ["IndexingOps"]


class IndexingOps(MatmulOps):
    """Gradients add up where an index repeats, in a fixed order: no update is lost, and bits repeat."""

    @op
    @abstractmethod
    def gather(self, x: Tensor, index: Tensor, axis: int) -> Tensor:
        """Takes along an axis: out[i][j] = x[i][index[i][j]] for axis 1.

        `index` (i32) has x's shape except on `axis`, and so has the result. For every dtype.
        """

    @op
    def gather_grad(self, grad: Tensor, index: Tensor, axis: int, length: int) -> Tensor:
        """Adds `grad` into zeros at `index` along `axis`, which is `length` long: the gradient of `gather`."""
        axis = self._check_gather_grad(grad, index, axis)
        last = (*(i for i in range(grad.ndim) if i != axis), axis)
        moved, picked = self.transpose(grad, last), self.transpose(index, last)
        lead, count = moved.shape[:-1], moved.shape[-1]
        one_hot = self._one_hot(self.reshape(picked, (*lead, count, 1)), length, grad.dtype)  # (..., count, length)
        summed = self.matmul(self.reshape(moved, (*lead, 1, count)), one_hot)  # (..., 1, length)
        back = [0] * grad.ndim
        for position, source in enumerate(last):
            back[source] = position
        return self.transpose(self.reshape(summed, (*lead, length)), tuple(back))

    @op
    def embedding(self, weight: Tensor, ids: Tensor) -> Tensor:
        """Rows of a table: weight (V, E), ids i32 (...) gives (..., E). For every dtype."""
        self._check_embedding("embedding", weight, ids)
        width = weight.shape[1]
        rows = self.broadcast_to(self.reshape(ids, (ids.size, 1)), (ids.size, width))
        return self.reshape(self.gather(weight, rows, 0), (*ids.shape, width))

    @op
    def embedding_grad(self, grad: Tensor, ids: Tensor, rows: int) -> Tensor:
        """Adds grad (..., E) into a table of zeros (rows, E) at ids (...)."""
        self._check_embedding_grad(grad, ids)
        one_hot = self._one_hot(self.reshape(ids, (ids.size, 1)), rows, grad.dtype)  # (N, V)
        return self.matmul(one_hot, self.reshape(grad, (ids.size, grad.shape[-1])), transpose_a=True)

    @op
    @abstractmethod
    def argmax(self, x: Tensor, axis: int = -1) -> Tensor:
        """Index (i32) of the largest value along `axis`; the lowest index among equals; NaN counts as largest."""

    @op
    @abstractmethod
    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k largest values along the last axis, in descending order, and their indices (i32).

        Equal values come in ascending order of index. x (..., N) gives two (..., k); 1 <= k <= N.
        """

    @staticmethod
    def _check_gather_grad(grad: Tensor, index: Tensor, axis: int) -> int:
        """Returns the axis counted from the front."""
        normal = normalize_axis("gather_grad", axis, grad.ndim)
        require_dtype("gather_grad", "index", index, DType.i32)
        require_shape("gather_grad", "index", index, grad.shape)
        return normal

    @staticmethod
    def _check_embedding(op: str, weight: Tensor, ids: Tensor) -> None:
        if weight.ndim != 2:
            raise ShapeError(f"`{op}`: `weight` has shape {list(weight.shape)}; (rows, width) is needed")
        require_dtype(op, "ids", ids, DType.i32)

    @staticmethod
    def _check_embedding_grad(grad: Tensor, ids: Tensor) -> None:
        require_dtype("embedding_grad", "ids", ids, DType.i32)
        require_shape("embedding_grad", "grad", grad, (*ids.shape, grad.shape[-1] if grad.ndim else 0))

    def _one_hot(self, index: Tensor, length: int, dtype: DType) -> Tensor:
        return self.cast(self.equal(index, self.arange(length)), dtype)
