"""Learning-rate schedules: pure functions of the step, which runs from 1 to `config.iters`."""

import math

from alpha_core.config import TrainConfig

__all__ = ["cosine", "warmup_factor"]


def warmup_factor(step: int, config: TrainConfig) -> float:
    """Rises linearly to 1 over the warm-up steps: step / (warmup + 1)."""
    return min(1.0, step / (config.resolved_warmup + 1))


def cosine(step: int, config: TrainConfig) -> float:
    """Linear warm-up to `lr`, then half a cosine down to `resolved_lr_min` (Loshchilov, Hutter 2017)."""
    warmup = config.resolved_warmup
    if step <= warmup:
        return config.lr * warmup_factor(step, config)
    progress = min(1.0, (step - warmup) / max(1, config.iters - warmup))
    low = config.resolved_lr_min
    return low + 0.5 * (1.0 + math.cos(math.pi * progress)) * (config.lr - low)
