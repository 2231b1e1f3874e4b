"""Optimizers: all parameters in one launch, or one for each way in which their elements are stored."""

import math
from collections.abc import Callable, Mapping, Sequence

from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import view_of
from alpha_core.shape import require_parallel
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.optimizer import CHUNK, adamw, lion, sgd
from alpha_helios.ops.reduction import ReductionKernels
from alpha_helios.ops.rows import stored_as

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
        self._step(
            "adamw_update",
            adamw,
            {"parameters": parameters, "first_moments": first_moments, "second_moments": second_moments},
            gradients,
            [learning_rate, correction1, correction2, gradient_scale, apply],
            [beta1, 1.0 - beta1, beta2, 1.0 - beta2, eps, weight_decay],
            flops=12.0,
        )

    def lion_update(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        moments: Sequence[Tensor],
        learning_rate: Tensor,
        gradient_scale: Tensor,
        apply: Tensor,
        *,
        beta1: float,
        beta2: float,
        weight_decay: float,
    ) -> None:
        self._step(
            "lion_update",
            lion,
            {"parameters": parameters, "moments": moments},
            gradients,
            [learning_rate, gradient_scale, apply],
            [beta1, 1.0 - beta1, beta2, 1.0 - beta2, weight_decay],
            flops=8.0,
        )

    def sgd_update(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        moments: Sequence[Tensor],
        learning_rate: Tensor,
        gradient_scale: Tensor,
        apply: Tensor,
        *,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
    ) -> None:
        kept = {"moments": moments} if momentum else {}
        self._step(
            "sgd_update",
            sgd,
            {"parameters": parameters, **kept},
            gradients,
            [learning_rate, gradient_scale, apply],
            [momentum, weight_decay],
            flops=6.0,
            momentum=bool(momentum),
            nesterov=nesterov,
        )

    def _step(
        self,
        op: str,
        build: Callable[..., None],
        updated: Mapping[str, Sequence[Tensor]],
        gradients: Sequence[Tensor],
        scalars: Sequence[Tensor],
        numbers: Sequence[float],
        *,
        flops: float,
        **parameters: object,
    ) -> None:
        """Checks the lists, of which the first one are the parameters, and launches an update; `flops` per element."""
        lists = {"parameters": updated["parameters"], "gradients": gradients, **updated}
        require_parallel(op, **lists)
        self._require_computed(op, *scalars, *(tensor for tensors in lists.values() for tensor in tensors))
        for tensors in updated.values():
            for tensor in tensors:
                self._settle(tensor)
        gradients = [self.contiguous(gradient) for gradient in gradients]
        kinds: dict[tuple[str, ...], list[tuple[Tensor, ...]]] = {}
        for group in zip(*updated.values(), gradients, strict=True):
            if group[0].size:
                kinds.setdefault(tuple(map(stored_as, group)), []).append(group)
        for stored, groups in kinds.items():
            starts, chunks = [], 0
            for group in groups:
                starts.append(chunks)
                chunks += -(-group[0].size // CHUNK)
            by_list = list(zip(*groups, strict=True))
            self.launch(
                KernelSpec.of(
                    build,
                    count=len(groups),
                    lists=stored,
                    scalars=tuple(map(stored_as, scalars)),
                    lanes=math.gcd(4, *(view_of(tensor).offset for group in groups for tensor in group)),
                    **parameters,
                ),
                updates=[tensor for tensors in by_list[:-1] for tensor in tensors],
                reads=[*by_list[-1], *scalars],
                values=[*(group[0].size for group in groups), *starts, chunks, *map(float, numbers)],
                groups=grid(chunks),
                flops=flops * sum(group[0].size for group in groups),
            )
