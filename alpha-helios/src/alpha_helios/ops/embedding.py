"""Rows of tables, and their gradients, which add up in a fixed order where an id repeats."""

import math

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.storage import stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.embedding import embedding, embedding_add, embedding_grad, first_places
from alpha_helios.kernels.sort import CHUNK, merge_chunks
from alpha_helios.ops.extent import WORKGROUP, covering, is_wide
from alpha_helios.ops.indexing import IndexingKernels
from alpha_helios.ops.movement import element_types

__all__ = ["EmbeddingKernels"]


class EmbeddingKernels(IndexingKernels):
    def embedding(self, weight: Tensor, ids: Tensor) -> Tensor:
        self._check_embedding("embedding", weight, ids)
        shape = (*ids.shape, weight.shape[1])
        out = self.activation(shape) if weight.dtype is DType.f32 else self.empty(shape, weight.dtype)
        self._look_up(out, weight, ids, None)
        return out

    def quantized_embedding(
        self, weight: Tensor, ids: Tensor, scale: Tensor | None = None, dtype: DType = DType.f32
    ) -> Tensor:
        if dtype is not DType.f32 or (scale is not None and stored_dtype(scale) is not DType.f32):
            return super().quantized_embedding(weight, ids, scale, dtype)
        self._check_quantized_embedding(weight, ids, scale)
        out = self.activation((*ids.shape, weight.shape[1]))
        self._look_up(out, weight, ids, scale)
        return out

    def embedding_grad(self, grad: Tensor, ids: Tensor, rows: int) -> Tensor:
        """What is only added to a table goes there at once, and only to the rows that have a gradient."""
        self._require_computed("embedding_grad", grad)
        self._check_embedding_grad(grad, ids)
        width = grad.shape[-1]
        if ids.size == 0 or rows * width == 0:
            return self.full((rows, width), 0.0, grad.dtype)
        out, grad = self.empty((rows, width), grad.dtype), self.contiguous(grad)
        keys, places = self._sorted_ids(self.contiguous(ids))
        first = self.empty((rows + 1,), DType.i32)
        self.launch(
            KernelSpec.of(first_places, workgroup=WORKGROUP),
            writes=[first],
            reads=[keys],
            values=[ids.size, rows],
            groups=covering(first.size),
        )
        lanes = math.gcd(4, width, view_of(grad).offset)
        across = min(32, max(4, 1 << (-(-width // lanes) - 1).bit_length()))
        columns = -(-width // (across * lanes))
        facts = {"stored": stored_dtype(grad).value, "lanes": lanes, "workgroup": (across, WORKGROUP // across, 1)}
        flops = float(grad.size)

        def into(destination: Tensor) -> Launch | None:
            if stored_dtype(destination) is not DType.f32 or view_of(destination).offset % lanes:
                return None
            return Launch(
                KernelSpec.of(embedding_add, **facts),
                updates=(destination,),
                reads=(grad, keys, places),
                values=(ids.size, rows, width),
                groups=grid(ids.size * columns),
                flops=flops,
                accumulates=True,
            )

        self.launch(
            KernelSpec.of(embedding_grad, **facts),
            writes=[out],
            reads=[grad, first, places],
            values=[rows, width],
            groups=grid(rows * columns),
            flops=flops,
            into=into,
        )
        return out

    def _look_up(self, out: Tensor, weight: Tensor, ids: Tensor, scale: Tensor | None) -> None:
        if out.size == 0:
            return
        weight = self.contiguous(weight)
        rows, width = weight.shape
        lanes = math.gcd(4, width, view_of(weight).offset)
        stored = stored_dtype(out).value, stored_dtype(weight).value
        self.launch(
            KernelSpec.of(
                embedding,
                types=element_types([out, weight]) if scale is None else stored,
                scaled=scale is not None,
                lanes=lanes,
                wide=is_wide(out),
                workgroup=WORKGROUP,
            ),
            writes=[out],
            reads=[weight, self.contiguous(ids), *([] if scale is None else [self.contiguous(scale)])],
            values=[out.size, width, rows],
            groups=covering(out.size, lanes),
            flops=0.0 if scale is None else float(out.size),
        )

    def _sorted_ids(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the ids in ascending order, and where they stood; equal ones in the order in which they stand."""
        keys, places = self._sorted_chunks(ids, 1, ids.size)
        if ids.size <= CHUNK:
            return keys, places
        merged = self.empty((ids.size,), DType.i32), self.empty((ids.size,), DType.i32)
        self.launch(
            KernelSpec.of(merge_chunks, stored="", workgroup=WORKGROUP),
            writes=merged,
            reads=[keys, places],
            values=[1, ids.size, -(-ids.size // CHUNK), ids.size],
            groups=covering(ids.size),
        )
        return merged
