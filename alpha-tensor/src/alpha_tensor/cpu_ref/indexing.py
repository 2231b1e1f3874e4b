"""Selection by index in numpy."""

import numpy as np

from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.shape import normalize_axis, require_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.matmul import MatmulKernels
from alpha_tensor.cpu_ref.storage import Array, array_of

__all__ = ["IndexingKernels"]


class IndexingKernels(MatmulKernels):
    def gather(self, x: Tensor, index: Tensor, axis: int) -> Tensor:
        axis = normalize_axis("gather", axis, x.ndim)
        positions = self._indices("gather", "index", index)
        if index.ndim != x.ndim:
            raise ShapeError(f"`gather`: `index` has {index.ndim} dimensions; {x.ndim} are needed")
        require_shape("gather", "index", index, (*x.shape[:axis], index.shape[axis], *x.shape[axis + 1 :]))
        _check_range("gather", positions, x.shape[axis])
        return self._tensor(np.take_along_axis(array_of(x), positions, axis), x.dtype)

    def gather_grad(self, grad: Tensor, index: Tensor, axis: int, length: int) -> Tensor:
        (values,) = self._computed("gather_grad", grad)
        axis = normalize_axis("gather_grad", axis, grad.ndim)
        positions = self._indices("gather_grad", "index", index)
        require_shape("gather_grad", "index", index, grad.shape)
        _check_range("gather_grad", positions, length)
        result = np.zeros((*grad.shape[:axis], length, *grad.shape[axis + 1 :]), values.dtype)
        places = list(np.indices(grad.shape, sparse=True))
        places[axis] = positions
        np.add.at(result, tuple(places), values)
        return self._tensor(result, grad.dtype)

    def embedding(self, weight: Tensor, ids: Tensor) -> Tensor:
        if weight.ndim != 2:
            raise ShapeError(f"`embedding`: `weight` has shape {list(weight.shape)}; (rows, width) is needed")
        positions = self._indices("embedding", "ids", ids)
        _check_range("embedding", positions, weight.shape[0])
        return self._tensor(array_of(weight)[positions], weight.dtype)

    def embedding_grad(self, grad: Tensor, ids: Tensor, rows: int) -> Tensor:
        (values,) = self._computed("embedding_grad", grad)
        positions = self._indices("embedding_grad", "ids", ids).reshape(-1)
        require_shape("embedding_grad", "grad", grad, (*ids.shape, grad.shape[-1] if grad.ndim else 0))
        _check_range("embedding_grad", positions, rows)
        result = np.zeros((rows, grad.shape[-1]), values.dtype)
        if positions.size:  # sum each segment of equal ids, in order of position
            order = np.argsort(positions, kind="stable")
            unique, starts = np.unique(positions[order], return_index=True)
            result[unique] = np.add.reduceat(values.reshape(-1, grad.shape[-1])[order], starts, axis=0)
        return self._tensor(result, grad.dtype)

    def argmax(self, x: Tensor, axis: int = -1) -> Tensor:
        (values,) = self._computed("argmax", x)
        axis = normalize_axis("argmax", axis, x.ndim)
        if x.shape[axis] == 0:
            raise ShapeError(f"`argmax`: {list(x.shape)} has no elements along axis {axis}")
        return self._tensor(np.argmax(values, axis).astype(np.int32), DType.i32)

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        (values,) = self._computed("top_k", x)
        if x.ndim == 0 or not 1 <= k <= x.shape[-1]:
            raise ShapeError(f"`top_k`: k = {k} does not fit the last axis of {list(x.shape)}")
        order = np.argsort(-values, axis=-1, kind="stable")[..., :k].astype(np.int32)
        return self._tensor(np.take_along_axis(values, order, -1), x.dtype), self._tensor(order, DType.i32)


def _check_range(op: str, positions: Array, length: int) -> None:
    if positions.size and not (positions.min() >= 0 and positions.max() < length):
        outside = positions[(positions < 0) | (positions >= length)].flat[0]
        raise OpError(f"`{op}`: index {outside} is outside 0 ... {length - 1}")
