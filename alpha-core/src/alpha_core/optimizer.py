"""What an optimizer is: state slots for each parameter, and an update written against `Backend`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from alpha_core.tensor import Shape, Tensor

if TYPE_CHECKING:
    from alpha_core.backend import Backend
    from alpha_core.config import TrainConfig

__all__ = ["Optimizer", "ParameterGroup", "StepScalars"]


@attrs.frozen(kw_only=True)
class ParameterGroup:
    """Parameters that are treated alike. The lists are parallel: index i is one parameter."""

    kind: str
    """`matrix` (hidden weight matrices), `embedding` (token, position and head tables) or `vector` (norms, biases,
    activation coefficients)."""
    weight_decay: float
    names: Sequence[str]
    parameters: Sequence[Tensor]
    gradients: Sequence[Tensor]
    state: Mapping[str, Sequence[Tensor]]
    """For each slot of the optimizer its tensors, initialized to zero."""


@attrs.frozen(kw_only=True)
class StepScalars:
    """Values that change every step, as device tensors of shape (), so that a recorded update stays valid."""

    gradient_scale: Tensor
    """Multiply a gradient by this: 1 / tokens, times the clip coefficient."""
    apply: Tensor
    """1 to apply the step; 0 to leave parameters and state exactly as they are (a non-finite step)."""
    values: Sequence[Tensor]
    """What `step_values` returned for this step."""


class Optimizer(ABC):
    """Updates parameters in place. Everything it remembers is in its slots, so a checkpoint holds it completely.

    A complete optimizer plugin:

    ```python
    class SignSGD(Optimizer):
        def update(self, backend, group, scalars):
            (learning_rate,) = scalars.values
            for parameter, gradient in zip(group.parameters, group.gradients):
                moved = backend.sub(parameter, backend.mul(backend.sign(gradient), learning_rate))
                backend.assign(parameter, backend.where(scalars.apply, moved, parameter))
    ```
    """

    def __init__(self, config: "TrainConfig") -> None:
        self.config = config

    def slots(self, name: str, shape: Shape, kind: str) -> dict[str, Shape]:
        """Returns the state tensors that a parameter needs, by slot name; the same names for all of a kind."""
        return {}

    def step_values(self, step: int, learning_rate: float) -> tuple[float, ...]:
        """Returns the host values that `update` needs at `step` (from 1 on); always the same number of them."""
        return (learning_rate,)

    @abstractmethod
    def update(self, backend: "Backend", group: ParameterGroup, scalars: StepScalars) -> None:
        """Applies one step to a group, in place, with ops of `backend` alone (this is recorded once and replayed)."""
