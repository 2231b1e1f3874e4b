"""Ops that write in place: assignment, accumulation and the AdamW update."""

from abc import abstractmethod
from collections.abc import Sequence

from alpha_core.op import op
from alpha_core.ops.attention import AttentionOps
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor

__all__ = ["UpdateOps"]


class UpdateOps(AttentionOps):
    """The arguments that an op writes are named in its mark; everything that changes between steps is a tensor."""

    @op(writes=("destination",))
    @abstractmethod
    def assign(self, destination: Tensor, source: Tensor) -> None:
        """Overwrites `destination` with `source`, which has the same shape and dtype."""

    @op(writes=("destination",))
    def add_into(self, destination: Tensor, source: Tensor) -> None:
        """destination += source, of the same shape and dtype. Also for i32."""
        require_shape("add_into", "source", source, destination.shape)
        self.assign(destination, self.add(destination, source))

    @op(writes=("parameters", "first_moments", "second_moments"))
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
        """One AdamW step on parallel lists of tensors (Loshchilov, Hutter 2019, algorithm 2).

        g = gradient * gradient_scale
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        p = p - learning_rate * (m / correction1 / (sqrt(v / correction2) + eps) + weight_decay * p)

        with correction = 1 - beta^t. The five scalars are tensors of shape (); where `apply` is 0 nothing changes, even
        if gradients are not finite.
        """
        for p, g, m, v in zip(parameters, gradients, first_moments, second_moments, strict=True):
            scaled = self.mul(g, gradient_scale)
            first = self.add(self.mul(m, beta1), self.mul(scaled, 1.0 - beta1))
            second = self.add(self.mul(v, beta2), self.mul(self.square(scaled), 1.0 - beta2))
            denominator = self.add(self.sqrt(self.div(second, correction2)), eps)
            change = self.add(self.div(self.div(first, correction1), denominator), self.mul(p, weight_decay))
            self.assign(p, self.where(apply, self.sub(p, self.mul(change, learning_rate)), p))
            self.assign(m, self.where(apply, first, m))
            self.assign(v, self.where(apply, second, v))
