"""What a run has come to so far."""

from collections.abc import Mapping
from typing import Any

import attrs

from alpha_core.errors import CheckpointError
from alpha_train.spike import SpikeBackoff
from alpha_train.trend import Trend

__all__ = ["Progress"]


@attrs.define
class Progress:
    """What a run counts beside its weights; a checkpoint keeps it, so that a resumed run goes on counting."""

    skipped_steps: int = 0
    """Steps that were not applied: not finite, or a spike."""
    earlier_steps: int = 0
    """Updates behind the optimizer's state from before the run: those of the run that it was taken from."""
    loss: float | None = None
    """Training loss of the last step; None if it was not finite."""
    validation_loss: float | None = None
    """Validation loss of the last evaluation."""
    best_validation_loss: float | None = None
    best_step: int | None = None
    evaluations_since_best: int = 0
    """Regular evaluations in a row that were not the best so far."""
    backoff: SpikeBackoff = attrs.field(factory=SpikeBackoff)
    trend: Trend = attrs.field(factory=Trend)

    def to_json(self) -> dict[str, Any]:
        """Returns what `from_json` takes."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Progress":
        """Reads itself from an object that may hold more; what is missing, as in older checkpoints, starts anew.

        Raises `CheckpointError` for content of another form.
        """
        parts = {"backoff": SpikeBackoff, "trend": Trend}
        known = {key: content[key] for key in attrs.fields_dict(cls) if key in content}
        try:
            return cls(**{key: parts[key](**value) if key in parts else value for key, value in known.items()})
        except TypeError as error:
            raise CheckpointError(f"the checkpoint's record of the run's progress cannot be read: {error}") from error
