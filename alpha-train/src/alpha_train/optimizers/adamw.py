"""AdamW: Adam with decoupled weight decay."""

from alpha_core.backend import Backend
from alpha_core.optimizer import Optimizer, ParameterGroup, StepScalars
from alpha_core.tensor import Shape

__all__ = ["AdamW"]


class AdamW(Optimizer):
    """Loshchilov, Hutter 2019, "Decoupled weight decay regularization".

    With g the scaled gradient and t the step:

        m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
        p = p - lr (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p)

    The formula itself is the op `Backend.adamw_update`, so that a backend may update all parameters in one pass. A step
    that is skipped as non-finite still counts in t, which stays a pure function of the training step.
    """

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        return {"m": shape, "v": shape}

    def step_values(self, step: int, learning_rate: float) -> tuple[float, ...]:
        return learning_rate, 1.0 - self.config.beta1**step, 1.0 - self.config.beta2**step

    def update(self, backend: Backend, group: ParameterGroup, scalars: StepScalars) -> None:
        learning_rate, correction1, correction2 = scalars.values
        backend.adamw_update(
            group.parameters,
            group.gradients,
            group.state["m"],
            group.state["v"],
            learning_rate,
            correction1,
            correction2,
            scalars.gradient_scale,
            scalars.apply,
            beta1=self.config.beta1,
            beta2=self.config.beta2,
            eps=self.config.eps,
            weight_decay=group.weight_decay,
        )
