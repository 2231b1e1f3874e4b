"""The choice of a token."""

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.choose import choose
from alpha_helios.ops.dropout import DropoutKernels

__all__ = ["ChoiceKernels"]


class ChoiceKernels(DropoutKernels):
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
        if rows:
            self.launch(
                KernelSpec.of(
                    choose,
                    stored=(stored_dtype(logits).value, stored_dtype(uniform).value),
                    few=0 < top_k < size,
                    nucleus=top_p < 1,
                    workgroup=self._alone(size),
                    subgroup=self._subgroup,
                ),
                writes=[out],
                reads=[self.contiguous(logits), self.contiguous(uniform)],
                values=[rows, size, divisor, min(top_k, size), float(top_p), float(min_p)],
                groups=grid(rows),
            )
        return out
