"""Dropout from counter-based random streams: the mask is a pure function, so backward draws it again."""

from abc import abstractmethod

from alpha_core.dtype import DType
from alpha_core.op import op
from alpha_core.ops.indexing import IndexingOps
from alpha_core.random import RandomStream
from alpha_core.shape import dropout_row_size
from alpha_core.tensor import Shape, Tensor

__all__ = ["DropoutOps"]


class DropoutOps(IndexingOps):
    """Bits are `alpha_core.random.random_bits`, equal on every backend."""

    @op
    @abstractmethod
    def dropout_mask(self, shape: Shape, rate: float, random: RandomStream, dtype: DType) -> Tensor:
        """1 / (1 - rate) where an element is kept, 0 where it is dropped (with probability `rate`, 0 <= rate < 1).

        The elements are numbered within each row; the number of rows, len(random.rows), divides the size of `shape`,
        so a row is one sequence: shape (B, ...) or (B * T, ...). Word `index` of row b below
        `alpha_core.random.dropout_threshold(rate)` drops element `index` of that row.
        """

    @op
    def dropout(self, x: Tensor, rate: float, random: RandomStream) -> Tensor:
        """x * dropout_mask. Its gradient is itself, applied to the incoming gradient."""
        dropout_row_size("dropout", x.shape, rate, random)
        return self.mul(x, self.dropout_mask(x.shape, rate, random, x.dtype))
