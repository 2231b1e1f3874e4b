"""The choice of a token."""

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.choose import draw, limited_shares, shares
from alpha_tensor.cpu.ops.indexing import IndexingKernels

__all__ = ["ChoiceKernels"]


class ChoiceKernels(IndexingKernels):
    def choose_token(
        self,
        logits: Tensor,
        uniform: Tensor,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
    ) -> Tensor:
        self._require_computed("choose_token", logits, uniform)
        divisor = self._check_choice(logits, uniform, temperature, top_k, top_p, min_p)
        if divisor == 0:
            return self.argmax(logits, 1)
        rows, size = logits.shape
        out = self.empty((rows,), DType.i32)
        if rows == 0:
            return out
        kept = self.empty(logits.shape, logits.dtype)
        if 0 < top_k < size or top_p < 1:
            count = min(top_k or size, size)
            candidates, ids = self.top_k(logits, count)
            self.launch(
                KernelSpec.of(limited_shares),
                writes=[kept, self.empty((rows, count), logits.dtype)],
                reads=[candidates, ids],
                values=[rows, size, count, divisor, float(top_p), float(min_p)],
            )
        else:
            self.launch(
                KernelSpec.of(shares),
                writes=[kept],
                reads=[self.contiguous(logits)],
                values=[rows, size, divisor, float(min_p)],
            )
        self.launch(KernelSpec.of(draw), writes=[out], reads=[kept, self.contiguous(uniform)], values=[rows, size])
        return out
