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

    The formula itself is the op `Backend.lion_update`. Every element moves by `lr`, so `lr` is to be 3 to 10 times
    smaller than AdamW's, and `weight_decay` as much larger where it is to be as strong. One slot: half of AdamW's
    memory.
    """

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        return {"m": shape}

    def update(self, backend: Backend, group: ParameterGroup, scalars: StepScalars) -> None:
        (learning_rate,) = scalars.values
        backend.lion_update(
            group.parameters,
            group.gradients,
            group.state["m"],
            learning_rate,
            scalars.gradient_scale,
            scalars.apply,
            beta1=self.config.beta1,
            beta2=self.config.beta2,
            weight_decay=group.weight_decay,
        )
