"""Blocks of the result of a batch of products: what a workgroup computes, and where its operands begin."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.finish import Finish, Output
from alpha_helios.kernels.tile import Side
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["Block"]

_BAND = 8
"""Rows of blocks that are worked on together, column by column: what they read of both operands stays in the cache."""


class Block:
    """The block that this workgroup computes. Takes all arguments of a kernel that multiplies in blocks.

    They are: out, what `Output` takes, a, b, what `Output` reads; M, N, K, batches, the length of the inner batch axis,
    parts, steps in a part (i32); the strides of a and of b: of the direction with gaps, the outer and the inner batch
    axis (i64). Grid: a workgroup for each block, part and batch.
    """

    def __init__(
        self, k: Kernel, high: int, wide: int, left: Side, right: Side, finish: Finish, *, parts: bool
    ) -> None:
        """Takes blocks of `high` rows by `wide` columns. With `parts` the K steps are shared out."""
        self.output = Output(k, finish)
        a, b = (elements(k, side.stored, readonly=True) for side in (left, right))
        self.output.take_reads()
        self.rows, self.columns, length, batches, inner, count, chunk = (k.integer() for _ in range(7))
        (a_stride, a_outer, a_inner), (b_stride, b_outer, b_inner) = ([k.long() for _ in range(3)] for _ in range(2))
        down, across = (self.rows + (high - 1)) // high, (self.columns + (wide - 1)) // wide
        group, blocks = linear_group(k), down * across
        with k.if_(group >= blocks * batches * count):
            k.return_()
        index = group // blocks
        part, batch = (index % count, index // count) if parts else (k.constant(i32, 0), index)
        self.row, self.column = _place(k, group % blocks, down, across, high, wide)
        """Its first ones."""
        outer, within = (k.convert(i, i64) for i in (batch // inner, batch % inner))
        self.start = part * chunk
        self.stop = k.minimum(self.start + chunk, length)
        """The steps that are summed up: from `start`, before `stop`."""
        self.strides = (a_stride, b_stride)
        self.a = a + (outer * a_outer + within * a_inner)
        self.b = b + (outer * b_outer + within * b_inner)
        """The operands of this batch."""
        self.above = k.convert(part * batches + batch, i64) * k.convert(self.rows, i64)
        """Rows of the output before those of this part and batch."""


def _place(k: Kernel, block: Value, down: Value, across: Value, high: int, wide: int) -> tuple[Value, Value]:
    """The first row and column of a block. A band of rows of blocks is walked column by column."""
    first = block // (across * _BAND) * _BAND
    height, index = k.minimum(down - first, _BAND), block % (across * _BAND)
    return (first + index % height) * high, index // height * wide
