"""Dynamic loss scaling: gradients in f16 are kept in its range by a factor on the loss, which lives on the device."""

from collections.abc import Mapping
from typing import Any

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import CheckpointError
from alpha_core.tensor import Tensor

__all__ = ["LossScale"]


class LossScale:
    """The scale and how many good steps in a row there were (Micikevicius et al. 2018, "Mixed precision training").

    After `GROWTH_INTERVAL` steps with finite gradients the scale doubles; a step whose gradients are not finite halves
    it.
    """

    INITIAL, MINIMUM, MAXIMUM = 128.0, 1.0, 2.0**24
    GROWTH_INTERVAL = 200

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.scale = backend.full((), self.INITIAL)
        self._good_steps = backend.zeros(())

    def scaled(self, tape: Backend, losses: Tensor) -> Tensor:
        """Returns losses, which are on a tape, times the scale, for the backward pass."""
        return tape.mul(losses, self.scale)

    def unscaled(self, factor: Tensor) -> Tensor:
        """Returns a factor for gradients that takes the scale out of them. ()"""
        return self._backend.div(factor, self.scale)

    def update(self, finite: Tensor) -> None:
        """Notes a step: `finite` is 1 if its gradients were, else 0."""
        b = self._backend
        good = b.mul(b.add(self._good_steps, 1.0), finite)
        grows = b.greater(good, self.GROWTH_INTERVAL - 0.5)
        grown = b.minimum(b.mul(self.scale, b.add(grows, 1.0)), self.MAXIMUM)
        shrunk = b.maximum(b.mul(self.scale, 0.5), self.MINIMUM)
        new_scale = b.where(finite, grown, shrunk)
        b.assign(self._good_steps, b.where(grows, 0.0, good))
        b.assign(self.scale, new_scale)

    def to_json(self) -> dict[str, float]:
        """Returns what `restore` takes, read back from the device."""
        tensors = {"scale": self.scale, "good_steps": self._good_steps}
        return {name: float(self._backend.download(tensor)) for name, tensor in tensors.items()}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Continues from what `to_json` returned. Raises `CheckpointError` for something else."""
        values = stored.get("scale"), stored.get("good_steps")
        if not all(isinstance(value, int | float) and value >= 0 for value in values):
            raise CheckpointError(f"the checkpoint's loss scale cannot be read: {dict(stored)}")
        for tensor, value in zip((self.scale, self._good_steps), values, strict=True):
            self._backend.assign(tensor, self._backend.full((), float(value), DType.f32))  # type: ignore[arg-type]
