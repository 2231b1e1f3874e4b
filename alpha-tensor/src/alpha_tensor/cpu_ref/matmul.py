"""Matrix products in numpy."""

import numpy as np

from alpha_core.shape import matmul_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.reduction import ReductionKernels
from alpha_tensor.cpu_ref.storage import quiet

__all__ = ["MatmulKernels"]


class MatmulKernels(ReductionKernels):
    @quiet()
    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        left, right = self._computed("matmul", a, b)
        matmul_shape(a.shape, b.shape, transpose_a, transpose_b)
        if transpose_a:
            left = left.swapaxes(-1, -2)
        if transpose_b:
            right = right.swapaxes(-1, -2)
        return self._tensor(np.matmul(left, right), a.dtype)
