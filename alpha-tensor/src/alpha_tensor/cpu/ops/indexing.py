"""Selection by integer tensors, and the search for the largest elements."""

import math

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.shape import argmax_axis, gather_axis, require_indices, top_k_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.embedding import embedding, embedding_add, embedding_grad, token_chains
from alpha_tensor.cpu.kernels.indexing import argmax, gather, gather_grad, top_k, write_rows
from alpha_tensor.cpu.memory import as_numpy
from alpha_tensor.cpu.ops.reduction import ReductionKernels

__all__ = ["IndexingKernels"]


class IndexingKernels(ReductionKernels):
    """Indices outside their range are found where tensors have values; while a step is recorded they have none."""

    def gather(self, x: Tensor, index: Tensor, axis: int) -> Tensor:
        axis = gather_axis(x, index, axis)
        self._check_range("gather", index, x.shape[axis])
        out = self.empty(index.shape, x.dtype)
        if out.size:
            self.launch(
                KernelSpec.of(gather, bits=8 * x.dtype.itemsize),
                writes=[out],
                reads=[self.contiguous(x), self.contiguous(index)],
                values=_around(index.shape, axis, x.shape[axis]),
            )
        return out

    def gather_grad(self, grad: Tensor, index: Tensor, axis: int, length: int) -> Tensor:
        self._require_computed("gather_grad", grad)
        axis = self._check_gather_grad(grad, index, axis)
        self._check_range("gather_grad", index, length)
        out = self.empty((*grad.shape[:axis], length, *grad.shape[axis + 1 :]), grad.dtype)
        if out.size:
            self.launch(
                KernelSpec.of(gather_grad),
                writes=[out],
                reads=[self.contiguous(grad), self.contiguous(index)],
                values=_around(grad.shape, axis, length),
                flops=float(grad.size),
            )
        return out

    def embedding(self, weight: Tensor, ids: Tensor) -> Tensor:
        self._check_embedding("embedding", weight, ids)
        rows, width = weight.shape
        self._check_range("embedding", ids, rows)
        out = self.empty((*ids.shape, width), weight.dtype)
        if out.size:
            self.launch(
                KernelSpec.of(embedding, bits=8 * weight.dtype.itemsize),
                writes=[out],
                reads=[self.contiguous(weight), self.contiguous(ids)],
                values=[ids.size, width],
            )
        return out

    def embedding_grad(self, grad: Tensor, ids: Tensor, rows: int) -> Tensor:
        """What is only added to a table goes there at once, and only to the rows that have a gradient."""
        self._require_computed("embedding_grad", grad)
        self._check_embedding_grad(grad, ids)
        self._check_range("embedding_grad", ids, rows)
        out = self.empty((rows, grad.shape[-1]), grad.dtype)
        if out.size == 0:
            return out
        first, following = self.empty((rows,), DType.i32), self.empty((ids.size,), DType.i32)
        self.launch(
            KernelSpec.of(token_chains),
            writes=[first, following],
            reads=[self.contiguous(ids)],
            values=[ids.size, rows],
        )
        reads = (self.contiguous(grad), first, following)
        values, flops = (rows, grad.shape[-1]), float(grad.size)

        def into(destination: Tensor) -> Launch:
            return Launch(KernelSpec.of(embedding_add), (), (destination,), reads, values, flops, accumulates=True)

        self.launch(KernelSpec.of(embedding_grad), writes=[out], reads=reads, values=values, flops=flops, into=into)
        return out

    def argmax(self, x: Tensor, axis: int = -1) -> Tensor:
        self._require_computed("argmax", x)
        axis = argmax_axis(x.shape, axis)
        others = (*x.shape[:axis], *x.shape[axis + 1 :])
        out = self.empty(others, DType.i32)
        if out.size:
            if axis != x.ndim - 1:
                x = self.transpose(x, (*(i for i in range(x.ndim) if i != axis), axis))
            values = [out.size, x.shape[-1]]
            self.launch(KernelSpec.of(argmax), writes=[out], reads=[self.contiguous(x)], values=values)
        return out

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        self._require_computed("top_k", x)
        shape = top_k_shape(x.shape, k)
        values, indices = self.empty(shape, x.dtype), self.empty(shape, DType.i32)
        if x.size:
            rows, width = x.size // x.shape[-1], x.shape[-1]
            scratch = self.empty((rows, 4, width), DType.i32)
            self.launch(
                KernelSpec.of(top_k),
                writes=[values, indices, scratch],
                reads=[self.contiguous(x)],
                values=[rows, width, k],
            )
        return values, indices

    def write_rows(self, destination: Tensor, source: Tensor, index: Tensor) -> None:
        self._check_write_rows(destination, source, index)
        batch, heads, capacity, width = destination.shape
        self._check_range("write_rows", index, capacity)
        if source.size:
            self._settle(destination)
            self.launch(
                KernelSpec.of(write_rows, bits=8 * source.dtype.itemsize),
                updates=[destination],
                reads=[self.contiguous(source), self.contiguous(index)],
                values=[batch, heads, capacity, width],
            )

    def _check_range(self, op: str, index: Tensor, length: int) -> None:
        if self.recorder is None:
            require_indices(op, as_numpy(index), length)


def _around(index: tuple[int, ...], axis: int, length: int) -> list[int]:
    """Returns how an index and a tensor with `length` places on one axis look: outer, picks, length, inner."""
    return [math.prod(index[:axis]), index[axis], length, math.prod(index[axis + 1 :])]
