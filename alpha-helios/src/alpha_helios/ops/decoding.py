"""The choice of a token."""

from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import stored_dtype
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.choose import choose
from alpha_helios.ops.dropout import DropoutKernels

__all__ = ["ChoiceKernels"]

_LEAST_TEMPERATURE = 1e-30  # below it, differences of logits would be divided by 0


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
        if logits.ndim != 2 or logits.shape[1] == 0:
            raise ShapeError(f"`choose_token`: `logits` has shape {list(logits.shape)}; (rows, tokens) is needed")
        rows, size = logits.shape
        require_shape("choose_token", "uniform", uniform, (rows,))
        if temperature < 0 or top_k < 0 or not 0 < top_p <= 1 or not 0 <= min_p <= 1:
            settings = f"temperature {temperature}, top_k {top_k}, top_p {top_p}, min_p {min_p}"
            raise OpError(f"`choose_token`: one of {settings} is outside its range")
        if temperature == 0:
            return self.argmax(logits, 1)
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
                values=[
                    *(rows, size, float(max(temperature, _LEAST_TEMPERATURE))),
                    *(min(top_k, size), float(top_p), float(min_p)),
                ],
                groups=grid(rows),
            )
        return out
