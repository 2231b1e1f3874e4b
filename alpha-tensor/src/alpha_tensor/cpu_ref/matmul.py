"""Matrix products in numpy."""

import numpy as np

from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_core.shape import matmul_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.reduction import ReductionKernels
from alpha_tensor.cpu_ref.storage import quiet

__all__ = ["MatmulKernels"]


class MatmulKernels(ReductionKernels):
    _matmul_dtype = DType.f32

    def set_matmul_dtype(self, dtype: DType) -> None:
        if dtype is not DType.bf16:
            super().set_matmul_dtype(dtype)
        self._matmul_dtype = dtype

    @quiet()
    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        left, right = self._computed("matmul", a, b)
        if self._matmul_dtype is DType.bf16 and a.dtype is DType.f32:
            left, right = (bf16_values(bf16_bits(operand)) for operand in (left, right))
        matmul_shape(a.shape, b.shape, transpose_a, transpose_b)
        if transpose_a:
            left = left.swapaxes(-1, -2)
        if transpose_b:
            right = right.swapaxes(-1, -2)
        return self._tensor(np.matmul(left, right), a.dtype)
