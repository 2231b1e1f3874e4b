"""SGD with momentum, plain or Nesterov's."""

from alpha_core.backend import Backend
from alpha_core.optimizer import Optimizer, ParameterGroup, StepScalars
from alpha_core.tensor import Shape

__all__ = ["SGD"]


class SGD(Optimizer):
    """Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization and momentum in deep learning".

    With g the scaled gradient:

        m = momentum m + g
        p = p - lr (d + weight_decay p)      d = m, or with `nesterov` g + momentum m

    Weight decay is decoupled, as everywhere in Alpha: it does not enter m. With `momentum` 0 there is no state.
    """

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        return {"m": shape} if self.config.momentum else {}

    def update(self, backend: Backend, group: ParameterGroup, scalars: StepScalars) -> None:
        b, momentum = backend, self.config.momentum
        (learning_rate,) = scalars.values
        for i, (p, gradient) in enumerate(zip(group.parameters, group.gradients, strict=True)):
            g = b.mul(gradient, scalars.gradient_scale)
            direction = g
            if momentum:
                m = group.state["m"][i]
                moved = b.add(b.mul(m, momentum), g)
                direction = b.add(g, b.mul(moved, momentum)) if self.config.nesterov else moved
                b.assign(m, b.where(scalars.apply, moved, m))
            change = b.add(direction, b.mul(p, group.weight_decay))
            b.assign(p, b.where(scalars.apply, b.sub(p, b.mul(change, learning_rate)), p))
