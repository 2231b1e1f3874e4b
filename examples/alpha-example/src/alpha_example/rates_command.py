"""The command `alpha example rates`."""

import os
from collections.abc import Mapping

from alpha_core.config import load_config
from alpha_core.errors import UsageError
from alpha_core.plugins import Plugins

__all__ = ["print_rates"]


def print_rates(plugins: Plugins, flags: Mapping[str, str], points: int) -> None:
    """Prints `step<tab>learning rate` for steps spread evenly over a run. Raises `UsageError` for too few points."""
    if points < 2:
        raise UsageError(f"`--points` is {points}; 2 or more are needed, the first step and the last")
    config = load_config(
        domain_config=lambda name: plugins.domains.get(name).load(),
        optimizer_defaults=lambda name: plugins.optimizers.get(name).defaults,
        environ=os.environ,
        flags=flags,
    ).config.train
    schedule = plugins.schedules.get(config.schedule).load()
    for step in sorted({1 + round(i * (config.iters - 1) / (points - 1)) for i in range(points)}):
        print(f"{step}\t{schedule(step, config):.3g}")
