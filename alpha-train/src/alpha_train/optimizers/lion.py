"""Lion: the sign of an average of gradients."""

from alpha_core.backend import Backend
from alpha_core.optimizer import Optimizer, ParameterGroup, StepScalars
from alpha_core.tensor import Shape

__all__ = ["Lion"]


class Lion(Optimizer):
    """Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2.

    With g the scaled gradient:

        p = p - lr (sign(beta1 m + (1 - beta1) g) + weight_decay p)
        m = beta2 m + (1 - beta2) g

    Every element moves by `lr`, so `lr` is to be 3 to 10 times smaller than AdamW's, and `weight_decay` as much larger
    where it is to be as strong. One slot: half of AdamW's memory.
    """

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        return {"m": shape}

    def update(self, backend: Backend, group: ParameterGroup, scalars: StepScalars) -> None:
        b, beta1, beta2 = backend, self.config.beta1, self.config.beta2
        (learning_rate,) = scalars.values
        for p, gradient, m in zip(group.parameters, group.gradients, group.state["m"], strict=True):
            g = b.mul(gradient, scalars.gradient_scale)
            direction = b.sign(b.add(b.mul(m, beta1), b.mul(g, 1.0 - beta1)))
            change = b.add(direction, b.mul(p, group.weight_decay))
            moved = b.add(b.mul(m, beta2), b.mul(g, 1.0 - beta2))
            b.assign(p, b.where(scalars.apply, b.sub(p, b.mul(change, learning_rate)), p))
            b.assign(m, b.where(scalars.apply, moved, m))
