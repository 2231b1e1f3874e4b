"""The schedule `inverse_sqrt`."""

import math

from alpha_core.config import TrainConfig

__all__ = ["inverse_sqrt"]


def inverse_sqrt(step: int, config: TrainConfig) -> float:
    """Linear warm-up to `lr`, then lr / sqrt(step / warm-up) (Vaswani et al. 2017). `lr_min` is not used."""
    peak = config.resolved_warmup + 1
    return config.lr * min(step / peak, math.sqrt(peak / step))
