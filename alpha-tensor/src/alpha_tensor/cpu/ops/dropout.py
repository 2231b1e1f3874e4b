"""Dropout: the mask is drawn where it is used."""

from alpha_core.dtype import DType
from alpha_core.random import RandomStream, dropout_threshold
from alpha_core.recording.launch import KernelSpec
from alpha_core.shape import dropout_row_size
from alpha_core.tensor import Shape, Tensor
from alpha_tensor.cpu.kernels.dropout import dropout
from alpha_tensor.cpu.ops.reduction import ReductionKernels

__all__ = ["DropoutKernels"]

_LOW = 0xFFFFFFFF


class DropoutKernels(ReductionKernels):
    def dropout_mask(self, shape: Shape, rate: float, random: RandomStream, dtype: DType) -> Tensor:
        mask = self._dropped("dropout_mask", None, tuple(shape), rate, random)
        return mask if dtype is DType.f32 else self.cast(mask, dtype)

    def dropout(self, x: Tensor, rate: float, random: RandomStream) -> Tensor:
        self._require_computed("dropout", x)
        return self._dropped("dropout", x, x.shape, rate, random)

    def _dropped(self, op: str, x: Tensor | None, shape: Shape, rate: float, random: RandomStream) -> Tensor:
        """Returns x times the mask, or the mask."""
        row_size = dropout_row_size(op, shape, rate, random)
        out = self.empty(shape, DType.f32)
        if out.size:
            self.launch(
                KernelSpec.of(dropout, masked=x is not None),
                writes=[out],
                reads=[*([] if x is None else [self.contiguous(x)]), self.contiguous(random.rows), random.step],
                values=[
                    *(random.rows.size, row_size),
                    *(random.stream & _LOW, random.seed & _LOW, random.seed >> 32 & _LOW),
                    dropout_threshold(rate),
                    1.0 / (1.0 - rate),
                ],
                flops=0.0 if x is None else float(out.size),
            )
        return out
