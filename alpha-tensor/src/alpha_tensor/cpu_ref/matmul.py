"""Matrix products in numpy."""

import numpy as np

from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_core.shape import matmul_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.reduction import ReductionKernels
from alpha_tensor.cpu_ref.storage import Array, quiet

__all__ = ["MatmulKernels"]


class MatmulKernels(ReductionKernels):
    _matmul_dtype = DType.f32

    def set_matmul_dtype(self, dtype: DType) -> None:
        if dtype not in (DType.bf16, DType.f16):
            super().set_matmul_dtype(dtype)
        self._matmul_dtype = dtype

    @quiet()
    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        left, right = self._computed("matmul", a, b)
        if a.dtype is DType.f32:
            left, right = (self._multiplied(array) for array in (left, right))
        matmul_shape(a.shape, b.shape, transpose_a, transpose_b)
        if transpose_a:
            left = left.swapaxes(-1, -2)
        if transpose_b:
            right = right.swapaxes(-1, -2)
        return self._tensor(np.matmul(left, right), a.dtype)

    def _multiplied(self, array: Array) -> Array:
        """Rounds an operand to the dtype of products."""
        if self._matmul_dtype is DType.bf16:
            return bf16_values(bf16_bits(array))
        return array.astype(np.float16).astype(np.float32) if self._matmul_dtype is DType.f16 else array
