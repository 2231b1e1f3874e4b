"""Ops that write in place: assignment, accumulation, and steps of optimizers on all parameters at once."""

from abc import abstractmethod
from collections.abc import Sequence

from alpha_core.op import op
from alpha_core.ops.attention import AttentionOps
from alpha_core.shape import require_parallel, require_shape
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
        require_parallel(
            "adamw_update",
            parameters=parameters,
            gradients=gradients,
            first_moments=first_moments,
            second_moments=second_moments,
        )
        for p, g, m, v in zip(parameters, gradients, first_moments, second_moments, strict=True):
            scaled = self.mul(g, gradient_scale)
            first = self.add(self.mul(m, beta1), self.mul(scaled, 1.0 - beta1))
            second = self.add(self.mul(v, beta2), self.mul(self.square(scaled), 1.0 - beta2))
            denominator = self.add(self.sqrt(self.div(second, correction2)), eps)
            change = self.add(self.div(self.div(first, correction1), denominator), self.mul(p, weight_decay))
            self.assign(p, self.where(apply, self.sub(p, self.mul(change, learning_rate)), p))
            self.assign(m, self.where(apply, first, m))
            self.assign(v, self.where(apply, second, v))

    @op(writes=("parameters", "moments"))
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
        """One Lion step on parallel lists of tensors (Chen et al. 2023, algorithm 2).

        g = gradient * gradient_scale
        p = p - learning_rate * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p)
        m = beta2 * m + (1 - beta2) * g

        The three scalars are tensors of shape (); where `apply` is 0 nothing changes.
        """
        require_parallel("lion_update", parameters=parameters, gradients=gradients, moments=moments)
        for p, gradient, m in zip(parameters, gradients, moments, strict=True):
            g = self.mul(gradient, gradient_scale)
            direction = self.sign(self.add(self.mul(m, beta1), self.mul(g, 1.0 - beta1)))
            change = self.add(direction, self.mul(p, weight_decay))
            moved = self.add(self.mul(m, beta2), self.mul(g, 1.0 - beta2))
            self.assign(p, self.where(apply, self.sub(p, self.mul(change, learning_rate)), p))
            self.assign(m, self.where(apply, moved, m))

    @op(writes=("parameters", "moments"))
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
        """One step of gradient descent on parallel lists of tensors (Sutskever et al. 2013).

        g = gradient * gradient_scale
        m = momentum * m + g
        p = p - learning_rate * (d + weight_decay * p), where d = m, or with `nesterov` g + momentum * m

        With `momentum` 0 there are no moments, and d = g. The three scalars are tensors of shape (); where `apply` is 0
        nothing changes.
        """
        kept = {"moments": moments} if momentum else {}
        require_parallel("sgd_update", parameters=parameters, gradients=gradients, **kept)
        for i, (p, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            g = self.mul(gradient, gradient_scale)
            direction = g
            if momentum:
                moved = self.add(self.mul(moments[i], momentum), g)
                direction = self.add(g, self.mul(moved, momentum)) if nesterov else moved
                self.assign(moments[i], self.where(apply, moved, moments[i]))
            change = self.add(direction, self.mul(p, weight_decay))
            self.assign(p, self.where(apply, self.sub(p, self.mul(change, learning_rate)), p))
