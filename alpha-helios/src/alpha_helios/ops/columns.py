"""The second step of sums over rows: what blocks of rows gave is added up."""

from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.tensor import Tensor
from alpha_helios.kernels.columns import sum_blocks
from alpha_helios.ops.reduction import ReductionKernels
from alpha_helios.ops.rows import stored_as

__all__ = ["ColumnSums"]

_COLUMNS, _MOST_SLOTS = 32, 16
"""Columns of a workgroup, and how many invocations add up blocks for one of them."""


class ColumnSums(ReductionKernels):
    def _column_sum(self, partial: Tensor, place: int) -> Tensor:
        """Adds up partial[:, place]: (blocks, sums, width) gives (width,), in f32."""
        blocks, sums, width = partial.shape
        out = self.empty((width,), partial.dtype)
        values = (blocks, sums * width, place * width, width)
        groups, flops = (-(-width // _COLUMNS), 1, 1), float(blocks * width)
        slots = min(_MOST_SLOTS, 1 << (blocks - 1).bit_length())

        def spec(destination: Tensor, *, add: bool) -> KernelSpec:
            return KernelSpec.of(sum_blocks, workgroup=(_COLUMNS, slots, 1), out=stored_as(destination), add=add)

        def into(destination: Tensor) -> Launch:
            return Launch(
                spec(destination, add=True),
                updates=(destination,),
                reads=(partial,),
                values=values,
                flops=flops,
                groups=groups,
                accumulates=True,
            )

        self.launch(
            spec(out, add=False), writes=[out], reads=[partial], values=values, flops=flops, groups=groups, into=into
        )
        return out
