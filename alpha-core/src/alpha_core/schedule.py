"""What a learning-rate schedule is."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from alpha_core.config import TrainConfig

__all__ = ["Schedule"]


class Schedule(Protocol):
    """A pure function of the step, so that a resumed run continues on the same curve.

    ```python
    def constant(step: int, config: TrainConfig) -> float:
        return config.lr
    ```
    """

    def __call__(self, step: int, config: "TrainConfig") -> float:
        """Returns the learning rate of `step`, which runs from 1 to `config.iters`."""
