"""The AdamW update: all parameters in one launch."""

from collections.abc import Sequence

from alpha_core.recording.launch import KernelSpec
from alpha_core.shape import require_parallel
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.adamw import adamw
from alpha_tensor.cpu.ops.reduction import ReductionKernels

__all__ = ["OptimizerKernels"]


class OptimizerKernels(ReductionKernels):
    def adamw_update(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        first_moments: Sequence[Tensor],
        second_moments: Sequence[Tensor],
        learning_rate: Tensor,
        correction1: Tensor,
        correction2: Tensor,
        gradient_scale: Tensor,
        apply: Tensor,
        *,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
    ) -> None:
        lists = {
            "parameters": parameters,
            "gradients": gradients,
            "first_moments": first_moments,
            "second_moments": second_moments,
        }
        require_parallel("adamw_update", **lists)
        scalars = [learning_rate, correction1, correction2, gradient_scale, apply]
        self._require_computed("adamw_update", *scalars, *(t for tensors in lists.values() for t in tensors))
        updated = [t for tensors in (parameters, first_moments, second_moments) for t in tensors]
        for tensor in updated:
            self._settle(tensor)
        if parameters:
            self.launch(
                KernelSpec.of(adamw, count=len(parameters)),
                updates=updated,
                reads=[*map(self.contiguous, gradients), *scalars],
                values=[*(p.size for p in parameters), float(beta1), float(beta2), float(eps), float(weight_decay)],
                flops=12.0 * sum(p.size for p in parameters),
            )
