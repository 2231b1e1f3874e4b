"""Dropout masks in numpy."""

import math

import numpy as np

from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.random import RandomStream, dropout_threshold, random_bits
from alpha_core.tensor import Shape, Tensor
from alpha_tensor.cpu_ref.indexing import IndexingKernels
from alpha_tensor.cpu_ref.storage import array_of

__all__ = ["DropoutKernels"]


class DropoutKernels(IndexingKernels):
    def dropout_mask(self, shape: Shape, rate: float, random: RandomStream, dtype: DType) -> Tensor:
        if not 0 <= rate < 1:
            raise OpError(f"`dropout_mask`: rate {rate} is outside [0, 1)")
        rows = self._indices("dropout_mask", "rows", random.rows)
        step = int(self._indices("dropout_mask", "step", random.step))
        size = math.prod(shape)
        if len(rows) == 0 or size % len(rows):
            raise ShapeError(f"`dropout_mask`: {len(rows)} rows do not divide shape {list(shape)}")
        bits = random_bits(random.seed, random.stream, step, rows, size // len(rows))
        kept = np.where(bits >= dropout_threshold(rate), 1.0 / (1.0 - rate), 0.0)
        return self._cast(kept.reshape(shape), dtype)

    def dropout(self, x: Tensor, rate: float, random: RandomStream) -> Tensor:
        (values,) = self._computed("dropout", x)
        mask = array_of(self.dropout_mask(x.shape, rate, random, x.dtype))
        return self._tensor(values * mask, x.dtype)
