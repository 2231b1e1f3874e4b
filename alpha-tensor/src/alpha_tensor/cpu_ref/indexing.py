"""Selection by index in numpy."""

import numpy as np

from alpha_core.dtype import DType
from alpha_core.shape import argmax_axis, gather_axis, require_indices, top_k_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.matmul import MatmulKernels
from alpha_tensor.cpu_ref.storage import array_of

__all__ = ["IndexingKernels"]


class IndexingKernels(MatmulKernels):
    def gather(self, x: Tensor, index: Tensor, axis: int) -> Tensor:
        axis, positions = gather_axis(x, index, axis), array_of(index)
        require_indices("gather", positions, x.shape[axis])
        return self._tensor(np.take_along_axis(array_of(x), positions, axis), x.dtype)

    def gather_grad(self, grad: Tensor, index: Tensor, axis: int, length: int) -> Tensor:
        (values,) = self._computed("gather_grad", grad)
        axis, positions = self._check_gather_grad(grad, index, axis), array_of(index)
        require_indices("gather_grad", positions, length)
        result = np.zeros((*grad.shape[:axis], length, *grad.shape[axis + 1 :]), values.dtype)
        places = list(np.indices(grad.shape, sparse=True))
        places[axis] = positions
        np.add.at(result, tuple(places), values)
        return self._tensor(result, grad.dtype)

    def embedding(self, weight: Tensor, ids: Tensor) -> Tensor:
        self._check_embedding("embedding", weight, ids)
        require_indices("embedding", array_of(ids), weight.shape[0])
        return self._tensor(array_of(weight)[array_of(ids)], weight.dtype)

    def embedding_grad(self, grad: Tensor, ids: Tensor, rows: int) -> Tensor:
        (values,) = self._computed("embedding_grad", grad)
        self._check_embedding_grad(grad, ids)
        positions = array_of(ids).reshape(-1)
        require_indices("embedding_grad", positions, rows)
        result = np.zeros((rows, grad.shape[-1]), values.dtype)
        if positions.size:  # sum each segment of equal ids, in order of position
            order = np.argsort(positions, kind="stable")
            unique, starts = np.unique(positions[order], return_index=True)
            result[unique] = np.add.reduceat(values.reshape(-1, grad.shape[-1])[order], starts, axis=0)
        return self._tensor(result, grad.dtype)

    def argmax(self, x: Tensor, axis: int = -1) -> Tensor:
        (values,) = self._computed("argmax", x)
        return self._tensor(np.argmax(values, argmax_axis(x.shape, axis)).astype(np.int32), DType.i32)

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        (values,) = self._computed("top_k", x)
        top_k_shape(x.shape, k)
        order = np.argsort(-values, axis=-1, kind="stable")[..., :k].astype(np.int32)
        return self._tensor(np.take_along_axis(values, order, -1), x.dtype), self._tensor(order, DType.i32)
