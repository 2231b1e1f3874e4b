"""The conformance kit of learning-rate schedules."""

import math
from typing import Any

from alpha_core.config import TrainConfig
from alpha_core.schedule import Schedule
from alpha_testkit.conformance import Conformance, each

__all__ = ["ScheduleConformance"]

SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "one-step": {"iters": 1},
    "two-steps": {"iters": 2},
    "no-warmup": {"iters": 10, "warmup": -1},
    "warmup": {"iters": 50, "warmup": 10},
    "warmup-to-the-end": {"iters": 10, "warmup": 10},
    "warmup-past-the-end": {"iters": 10, "warmup": 1000},
    "constant": {"iters": 20, "lr": 0.01, "lr_min": 0.01},
    "long": {"iters": 10**9},
}


class ScheduleConformance(Conformance, kit=True):
    """Holds a schedule to the contract of `alpha_core.schedule.Schedule`.

    ```python
    class TestMySchedule(ScheduleConformance):
        def make_schedule(self):
            return my_schedule
    ```
    """

    def make_schedule(self) -> Schedule:
        """Returns the schedule. The author defines this."""
        raise NotImplementedError(f"`{type(self).__name__}` must define `make_schedule`")

    @each(lambda kit: SETTINGS)
    def test_rates(self, case: dict[str, Any]) -> None:
        """From the first step to the last, the rate is a finite float from 0 to `lr`."""
        schedule, config = self.make_schedule(), TrainConfig(**case)
        for step in _steps(config):
            rate = schedule(step, config)
            assert isinstance(rate, float)
            assert math.isfinite(rate)
            assert 0 <= rate <= config.lr * (1 + 1e-12), f"step {step}: {rate}"

    @each(lambda kit: SETTINGS)
    def test_some_rate_is_positive(self, case: dict[str, Any]) -> None:
        """At some step there is something to learn."""
        schedule, config = self.make_schedule(), TrainConfig(**case)
        assert max(schedule(step, config) for step in _steps(config)) > 0

    @each(lambda kit: SETTINGS)
    def test_pure(self, case: dict[str, Any]) -> None:
        """The rate depends on step and configuration alone: backwards, again and resumed, it is the same."""
        schedule, config = self.make_schedule(), TrainConfig(**case)
        steps = _steps(config)
        rates = [schedule(step, config) for step in steps]
        schedule(1, TrainConfig(lr=1.0, iters=3))
        assert [schedule(step, config) for step in reversed(steps)] == rates[::-1]
        resumed = self.make_schedule()
        assert [resumed(step, TrainConfig(**case)) for step in steps] == rates


def _steps(config: TrainConfig) -> list[int]:
    """Every step of a short run; the ends and some between of a long one."""
    if config.iters <= 2000:
        return list(range(1, config.iters + 1))
    return sorted({1, 2, 3, config.iters - 1, config.iters, *range(1, config.iters, config.iters // 50)})
