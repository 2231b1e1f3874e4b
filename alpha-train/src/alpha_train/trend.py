"""Where training and validation loss are heading, and when that deserves a warning."""

import math
from typing import ClassVar

import attrs

from alpha_core.observer import Event

__all__ = ["Trend"]


@attrs.define
class Trend:
    """Training and validation losses of the last evaluations.

    The training loss of an evaluation is the mean over the steps since the one before it, for single batches are noisy.
    """

    WINDOW: ClassVar[int] = 6
    """Evaluations that are compared: the first of them with the last."""
    PLATEAU: ClassVar[float] = 0.01
    """Plateau: both losses changed by less than this share."""
    IMPROVED: ClassVar[float] = 0.01
    """Overfit: the training loss fell by more than this share,"""
    WORSENED: ClassVar[float] = 0.003
    """the validation loss rose by more than this share,"""
    GAP: ClassVar[float] = 0.03
    """and the validation loss is higher by more than this many nats per token."""

    train_losses: list[float] = attrs.field(factory=list)
    validation_losses: list[float] = attrs.field(factory=list)
    status: str | None = None
    """`plateau`, `overfit`, or None for neither; a warning is given when it changes."""
    loss_sum: float = 0.0
    steps: int = 0
    """Steps in `loss_sum`."""

    def add_step(self, loss: float) -> None:
        """Takes the training loss of a step; one that is not finite does not count."""
        if math.isfinite(loss):
            self.loss_sum += loss
            self.steps += 1

    def add_evaluation(self, step: int, validation_loss: float) -> Event | None:
        """Takes a validation loss, and returns a `train_status_warning` if there is something new to warn of.

        An evaluation without a finite loss, or without a step before it, does not count.
        """
        if not self.steps or not math.isfinite(validation_loss):
            return None
        self.train_losses = [*self.train_losses, self.loss_sum / self.steps][-self.WINDOW :]
        self.validation_losses = [*self.validation_losses, validation_loss][-self.WINDOW :]
        self.loss_sum, self.steps = 0.0, 0
        before, self.status = self.status, self._status()
        if self.status is None or self.status == before:
            return None
        return Event(
            kind="train_status_warning",
            message=f"{self.status}: {self._explanation()}",
            step=step,
            level="warning",
            payload={
                "status": self.status,
                "evaluations": self.WINDOW,
                "loss_change": _change(self.train_losses),
                "valLoss_change": _change(self.validation_losses),
                "gap": self._gap,
            },
        )

    @property
    def _gap(self) -> float:
        return self.validation_losses[-1] - self.train_losses[-1]

    def _status(self) -> str | None:
        if len(self.train_losses) < self.WINDOW:
            return None
        train, validation = _change(self.train_losses), _change(self.validation_losses)
        if abs(train) < self.PLATEAU and abs(validation) < self.PLATEAU:
            return "plateau"
        if train < -self.IMPROVED and validation > self.WORSENED and self._gap > self.GAP:
            return "overfit"
        return None

    def _explanation(self) -> str:
        train, validation = _change(self.train_losses), _change(self.validation_losses)
        over = f"over the last {self.WINDOW} evaluations"
        if self.status == "plateau":
            return f"{over} neither loss changed by 1% (training {train:+.1%}, validation {validation:+.1%})"
        return f"{over} the training loss changed by {train:+.1%} and the validation loss by {validation:+.1%}"


def _change(losses: list[float]) -> float:
    """Returns the change from the first to the last, as a share of the first."""
    return (losses[-1] - losses[0]) / max(abs(losses[0]), 1e-12)
