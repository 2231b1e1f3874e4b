"""The optimizer `rmsprop`."""

from alpha_core.backend import Backend
from alpha_core.optimizer import Optimizer, ParameterGroup, StepScalars
from alpha_core.tensor import Shape

__all__ = ["RMSProp"]


class RMSProp(Optimizer):
    """Tieleman, Hinton 2012, "Divide the gradient by a running average of its recent magnitude".

    With g the scaled gradient:

        v = beta2 v + (1 - beta2) g^2
        p = p - lr (g / (sqrt(v) + eps) + weight_decay p)
    """

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        return {"v": shape}

    def update(self, backend: Backend, group: ParameterGroup, scalars: StepScalars) -> None:
        b, beta2 = backend, self.config.beta2
        (learning_rate,) = scalars.values
        for p, gradient, v in zip(group.parameters, group.gradients, group.state["v"], strict=True):
            g = b.mul(gradient, scalars.gradient_scale)
            average = b.add(b.mul(v, beta2), b.mul(b.square(g), 1.0 - beta2))
            direction = b.div(g, b.add(b.sqrt(average), self.config.eps))
            change = b.add(direction, b.mul(p, group.weight_decay))
            b.assign(p, b.where(scalars.apply, b.sub(p, b.mul(change, learning_rate)), p))
            b.assign(v, b.where(scalars.apply, average, v))
