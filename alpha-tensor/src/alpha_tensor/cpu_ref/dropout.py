"""Dropout masks in numpy."""

import numpy as np

from alpha_core.dtype import DType
from alpha_core.random import RandomStream, dropout_threshold, random_bits
from alpha_core.shape import dropout_row_size
from alpha_core.tensor import Shape, Tensor
from alpha_tensor.cpu_ref.indexing import IndexingKernels
from alpha_tensor.cpu_ref.storage import Array, array_of

__all__ = ["DropoutKernels"]


class DropoutKernels(IndexingKernels):
    def dropout_mask(self, shape: Shape, rate: float, random: RandomStream, dtype: DType) -> Tensor:
        return self._cast(_mask("dropout_mask", shape, rate, random), dtype)

    def dropout(self, x: Tensor, rate: float, random: RandomStream) -> Tensor:
        (values,) = self._computed("dropout", x)
        mask = _mask("dropout", x.shape, rate, random).astype(values.dtype)
        return self._tensor(values * mask, x.dtype)


def _mask(op: str, shape: Shape, rate: float, random: RandomStream) -> Array:
    size = dropout_row_size(op, shape, rate, random)
    bits = random_bits(random.seed, random.stream, int(array_of(random.step)), array_of(random.rows), size)
    return np.where(bits >= dropout_threshold(rate), 1.0 / (1.0 - rate), 0.0).reshape(shape)
