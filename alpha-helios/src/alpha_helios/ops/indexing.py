"""Selection by integer tensors, and the search for the largest elements.

Kernels keep within their tensors whatever an index is: what lies outside is undefined, as the contract says.
"""

import math

from alpha_core.dtype import DType
from alpha_core.recording.creation import moved_as
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import stored_dtype, view_of
from alpha_core.shape import argmax_axis, gather_axis, top_k_shape
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.indexing import argmax, gather, gather_grad, gather_grad_few, write_rows
from alpha_helios.kernels.sort import CHUNK, merge_chunks, sort_chunks
from alpha_helios.ops.extent import WORKGROUP, covering
from alpha_helios.ops.movement import element_types
from alpha_helios.ops.reduction import ReductionKernels

__all__ = ["IndexingKernels"]

_FEW = 32  # picks that every element of a gradient may look through
_AT_ONCE = 16384  # picks that an invocation goes through; lavapipe ends loops silently after 65,535 turns


class IndexingKernels(ReductionKernels):
    def gather(self, x: Tensor, index: Tensor, axis: int) -> Tensor:
        axis = gather_axis(x, index, axis)
        out = self.result(index.shape, x.dtype, [x])
        if out.size:
            self.launch(
                KernelSpec.of(gather, type_=moved_as(stored_dtype(x)), workgroup=WORKGROUP),
                writes=[out],
                reads=[self.contiguous(x), self.contiguous(index)],
                values=[out.size, index.shape[axis], x.shape[axis], math.prod(x.shape[axis + 1 :])],
                groups=covering(out.size),
            )
        return out

    def gather_grad(self, grad: Tensor, index: Tensor, axis: int, length: int) -> Tensor:
        self._require_computed("gather_grad", grad)
        axis = self._check_gather_grad(grad, index, axis)
        out = self.empty((*grad.shape[:axis], length, *grad.shape[axis + 1 :]), grad.dtype)
        if out.size == 0:
            return out
        picks, inner = grad.shape[axis], math.prod(grad.shape[axis + 1 :])
        stored, reads = stored_dtype(grad).value, [self.contiguous(grad), self.contiguous(index)]
        if picks <= _FEW:
            self.launch(
                KernelSpec.of(gather_grad_few, stored=stored, workgroup=WORKGROUP),
                writes=[out],
                reads=reads,
                values=[out.size, picks, length, inner],
                groups=covering(out.size),
                flops=float(grad.size),
            )
            return out
        self._fill_with(out, 0)
        lines = out.size // length
        for start in range(0, picks, _AT_ONCE):
            self.launch(
                KernelSpec.of(gather_grad, stored=stored, workgroup=WORKGROUP),
                updates=[out],
                reads=reads,
                values=[lines, picks, length, inner, start, min(start + _AT_ONCE, picks)],
                groups=covering(lines),
                flops=float(lines * min(_AT_ONCE, picks - start)),
            )
        return out

    def argmax(self, x: Tensor, axis: int = -1) -> Tensor:
        self._require_computed("argmax", x)
        axis = argmax_axis(x.shape, axis)
        out = self.empty((*x.shape[:axis], *x.shape[axis + 1 :]), DType.i32)
        if out.size:
            if axis != x.ndim - 1:
                x = self.transpose(x, (*(i for i in range(x.ndim) if i != axis), axis))
            width = x.shape[-1]
            workgroup = self._alone(width)
            team = min(workgroup, 1 << max(0, -(-width // 4) - 1).bit_length())
            self.launch(
                KernelSpec.of(
                    argmax,
                    stored=stored_dtype(x).value,
                    team=team,
                    workgroup=workgroup,
                    subgroup=self._subgroup,
                ),
                writes=[out],
                reads=[self.contiguous(x)],
                values=[out.size, width],
                groups=grid(-(-out.size // (workgroup // team))),
            )
        return out

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        self._require_computed("top_k", x)
        shape = top_k_shape(x.shape, k)
        values, indices = self.result(shape, x.dtype, [x]), self.empty(shape, DType.i32)
        if x.size:
            x = self.contiguous(x)
            rows, width = x.size // x.shape[-1], x.shape[-1]
            keys, places = self._sorted_chunks(x, rows, width)
            self.launch(
                KernelSpec.of(merge_chunks, stored=stored_dtype(x).value, workgroup=WORKGROUP),
                writes=[values, indices],
                reads=[keys, places, x],
                values=[rows, width, -(-width // CHUNK), k],
                groups=covering(x.size),
            )
        return values, indices

    def write_rows(self, destination: Tensor, source: Tensor, index: Tensor) -> None:
        self._check_write_rows(destination, source, index)
        _, heads, capacity, width = destination.shape
        if source.size:
            self._settle(destination)
            source = self.contiguous(source)
            lanes = math.gcd(4, width, *(view_of(tensor).offset for tensor in (destination, source)))
            self.launch(
                KernelSpec.of(write_rows, types=element_types([destination, source]), lanes=lanes, workgroup=WORKGROUP),
                updates=[destination],
                reads=[source, self.contiguous(index)],
                values=[source.size, heads, capacity, width],
                groups=covering(source.size, lanes),
            )

    def _sorted_chunks(self, x: Tensor, rows: int, width: int) -> tuple[Tensor, Tensor]:
        """Returns keys and places of each row of a contiguous tensor, sorted within chunks."""
        keys, places = self.empty((rows, width), DType.i32), self.empty((rows, width), DType.i32)
        chunks = -(-width // CHUNK)
        self.launch(
            KernelSpec.of(sort_chunks, stored=stored_dtype(x).value, workgroup=WORKGROUP),
            writes=[keys, places],
            reads=[x],
            values=[rows, width, chunks],
            groups=grid(rows * chunks),
        )
        return keys, places
