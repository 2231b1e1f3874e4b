"""Reductions: one group of neighbouring axes after the other, long ones in blocks of fixed length."""

from collections.abc import Sequence

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.layout import reshape_strides
from alpha_core.recording.storage import View, row_major, view_of
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.reduce import SQUARES_BLOCK, reduce_columns, reduce_rows, squares, total
from alpha_tensor.cpu.ops.movement import MovementKernels

__all__ = ["ReductionKernels"]

_ROW_BLOCK = 32768
"""Elements of a row that one thread reduces by itself; only rows twice as long are divided."""
_COLUMN_BLOCK = 512
_MOST_TENSORS = 16  # whose squares one kernel adds up


class ReductionKernels(MovementKernels):
    def _reduced_axis(self, op: str, x: Tensor, shape: tuple[int, int, int], scale: float) -> Tensor:
        """Reduces the middle one of three axes; the result has the other two, contiguous."""
        before, length, after = shape
        limit = _ROW_BLOCK if after == 1 else _COLUMN_BLOCK
        blocks = -(-length // limit) if length > 2 * limit else 1
        view, strides = view_of(x), reshape_strides(x.shape, view_of(x).strides, shape)
        if strides is None or strides[2 if after > 1 else 1] not in ((1,) if max(after, length) > 1 else (0, 1)):
            view, strides = view_of(self._copied(x)), row_major(shape)
        source = Tensor(shape, x.dtype, View(view.buffer, strides, view.offset))
        out = self.empty((before, blocks, after), x.dtype)
        kernel = reduce_rows if after == 1 else reduce_columns
        sizes = (before, length) if after == 1 else (before, length, after)
        steps = (strides[0],) if after == 1 else strides[:2]
        whole = blocks == 1
        values = (*sizes, *steps, blocks, length if whole else limit, float(scale if whole else 1.0))
        flops = float(source.size)

        def into(destination: Tensor) -> Launch | None:
            spec = KernelSpec.of(kernel, op=op, accumulate=True)
            return Launch(spec, (), (destination,), (source,), values, flops, accumulates=True)

        self.launch(
            KernelSpec.of(kernel, op=op, accumulate=False),
            writes=[out],
            reads=[source],
            values=values,
            flops=flops,
            into=into if whole and op == "sum" else None,
        )
        return (
            out if whole else self._reduced_axis("min" if op == "finite" else op, out, (before, blocks, after), scale)
        )

    def _squares(self, tensors: Sequence[Tensor], root: bool) -> Tensor:
        """Adds up squares in f64, so that neither many tensors nor large numbers lose or overflow."""
        given = [self.contiguous(tensor) for tensor in tensors if tensor.size]
        sums = [-(-tensor.size // SQUARES_BLOCK) for tensor in given]
        partial = self.empty((sum(sums),), DType.f64)
        for first in range(0, len(given), _MOST_TENSORS):
            some = given[first : first + _MOST_TENSORS]
            count = 1 if len(some) == 1 else _MOST_TENSORS
            padding = count - len(some)
            self.launch(
                KernelSpec.of(squares, count=count),
                writes=[partial] if first == 0 else [],
                updates=[partial] if first else [],
                reads=[*some, *some[:1] * padding],
                values=[sum(sums[:first]), *(tensor.size for tensor in some), *(0,) * padding],
                flops=2.0 * sum(tensor.size for tensor in some),
            )
        out = self.empty((), DType.f32)
        self.launch(KernelSpec.of(total, root=root), writes=[out], reads=[partial], values=[partial.size])
        return out
