"""Rotary positions."""

import math

from alpha_core.errors import OpError
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import View, stored_dtype, view_of
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_helios.kernels.rotary import rotary
from alpha_helios.ops.extent import WORKGROUP, covering, is_wide
from alpha_helios.ops.reduction import ReductionKernels

__all__ = ["RotaryKernels"]


class RotaryKernels(ReductionKernels):
    def rotary(self, x: Tensor, cosine: Tensor, sine: Tensor, inverse: bool = False) -> Tensor:
        """The heads of a position stand next to each other in the result, as products take and give them."""
        *_, time, width = x.shape
        half = width // 2
        if width % 2:
            raise OpError(f"`rotary`: the last axis has odd length {width}")
        for name, table in (("cosine", cosine), ("sine", sine)):
            require_shape("rotary", name, table, (time, half))
        self._require_computed("rotary", x, cosine, sine)
        if x.ndim > 4:
            return super().rotary(x, cosine, sine, inverse)
        batch, heads = (1, 1, *x.shape)[-4:-2]
        out = self.result((batch, time, heads, width), x.dtype, [x])
        strides = (time * heads * width, width, heads * width, 1)
        if out.size:
            x, cosine, sine = (self._rows(tensor) for tensor in (x, cosine, sine))
            steps = [*(0, 0, *view_of(x).strides)[-4:-1], *(view_of(table).strides[0] for table in (cosine, sine))]
            places = (view_of(tensor).offset for tensor in (x, cosine, sine))
            lanes = math.gcd(4, half, *steps, *places)
            self.launch(
                KernelSpec.of(
                    rotary,
                    types=tuple(stored_dtype(tensor).value for tensor in (out, x, cosine, sine)),
                    lanes=lanes,
                    wide=is_wide(out),
                    workgroup=WORKGROUP,
                ),
                writes=[out],
                reads=[x, cosine, sine],
                values=[out.size // 2, time, heads, half, *steps, -1.0 if inverse else 1.0],
                groups=covering(out.size // 2, lanes),
                flops=3.0 * out.size,
            )
        view = view_of(out)
        return Tensor(x.shape, x.dtype, View(view.buffer, strides[-x.ndim :], stored=view.stored))

    def _rows(self, x: Tensor) -> Tensor:
        """Returns x, or a copy of it, whose last axis has no gaps."""
        return x if view_of(x).strides[-1] == 1 or x.shape[-1] == 1 else self._copied(x)
