"""Matrix products."""

from abc import abstractmethod

from alpha_core.op import op
from alpha_core.ops.reduction import ReductionOps
from alpha_core.tensor import Tensor

__all__ = ["MatmulOps"]


class MatmulOps(ReductionOps):
    """Transposition is a flag, so that nobody materializes a transpose."""

    @op
    @abstractmethod
    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        """(..., M, K) by (..., K, N) gives (..., M, N); leading axes broadcast. Floating only.

        With `transpose_a` the first operand is stored as (..., K, M), with `transpose_b` the second as (..., N, K). An
        empty inner axis (K = 0) gives zeros.
        """
