"""The learning rate after gradient spikes."""

from typing import ClassVar

import attrs

__all__ = ["SpikeBackoff"]


@attrs.define
class SpikeBackoff:
    """Scales the learning rate down after every spike and back up once training is calm again.

    It lives on the host: the report of every update is read there anyway, optimizers derive their values from a
    learning rate that is a number, and what it remembers is two numbers in the checkpoint's header, so a resumed run
    goes on bit for bit. The update program receives the product as it receives every learning rate, as a device value.
    """

    FACTOR: ClassVar[float] = 0.5
    FLOOR: ClassVar[float] = 0.1
    RECOVERY_STEPS: ClassVar[int] = 200

    scale: float = 1.0
    """What the schedule's learning rate is multiplied by: 1, or `FACTOR` to the number of spikes, at least `FLOOR`."""
    good_steps: int = 0
    """Steps applied in a row while the scale is below 1."""

    def add_step(self, *, applied: bool, spiked: bool) -> bool:
        """Takes the outcome of a step, and returns whether the learning rate has just recovered.

        A spike scales down. `RECOVERY_STEPS` steps applied in a row bring the full learning rate back at once; a step
        that was skipped for another reason interrupts the row.
        """
        if spiked:
            self.scale = max(self.FLOOR, self.scale * self.FACTOR)
        if spiked or not applied or self.scale == 1.0:
            self.good_steps = 0
            return False
        self.good_steps += 1
        if self.good_steps < self.RECOVERY_STEPS:
            return False
        self.scale, self.good_steps = 1.0, 0
        return True
