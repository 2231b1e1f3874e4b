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

    The formula itself is the op `Backend.sgd_update`. Weight decay is decoupled, as everywhere in Alpha: it does not
    enter m. With `momentum` 0 there is no state.
    """

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        return {"m": shape} if self.config.momentum else {}

    def update(self, backend: Backend, group: ParameterGroup, scalars: StepScalars) -> None:
        (learning_rate,) = scalars.values
        momentum = self.config.momentum
        backend.sgd_update(
            group.parameters,
            group.gradients,
            group.state["m"] if momentum else [],
            learning_rate,
            scalars.gradient_scale,
            scalars.apply,
            momentum=momentum,
            nesterov=self.config.nesterov,
            weight_decay=group.weight_decay,
        )
