"""Learning-rate schedules: pure functions of the step, which runs from 1 to `config.iters`."""

import math

from alpha_core.config import TrainConfig

__all__ = ["constant", "cosine", "linear", "warmup_factor", "wsd"]


def warmup_factor(step: int, config: TrainConfig) -> float:
    """Rises linearly to 1 over the warm-up steps: step / (warmup + 1)."""
    return min(1.0, step / (config.resolved_warmup + 1))


def constant(step: int, config: TrainConfig) -> float:
    """Linear warm-up to `lr`, which stays. `lr_min` is not used."""
    return config.lr * warmup_factor(step, config)


def cosine(step: int, config: TrainConfig) -> float:
    """Linear warm-up to `lr`, then half a cosine down to `resolved_lr_min` (Loshchilov, Hutter 2017)."""
    start = config.resolved_warmup
    if step <= start:
        return constant(step, config)
    return _between(config, 0.5 * (1.0 + math.cos(math.pi * _progress(step, start, config))))


def linear(step: int, config: TrainConfig) -> float:
    """Linear warm-up to `lr`, then a straight line down to `resolved_lr_min` (Devlin et al. 2019)."""
    return _falling(step, config.resolved_warmup, config)


def wsd(step: int, config: TrainConfig) -> float:
    """Warm-up, stable, decay: linear warm-up to `lr`, which stays until a straight line leads to `resolved_lr_min`.

    The line takes the last `decay_fraction` of all steps (Hu et al. 2024, "MiniCPM"), but never begins before the
    warm-up has ended.
    """
    return _falling(
        step, max(config.resolved_warmup, config.iters - round(config.decay_fraction * config.iters)), config
    )


def _falling(step: int, start: int, config: TrainConfig) -> float:
    """Falls linearly over the steps after `start`."""
    if step <= start:
        return constant(step, config)
    return _between(config, 1.0 - _progress(step, start, config))


def _progress(step: int, start: int, config: TrainConfig) -> float:
    """From 0 at `start` to 1 at the last step, and 1 after it."""
    return min(1.0, (step - start) / max(1, config.iters - start))


def _between(config: TrainConfig, height: float) -> float:
    """The learning rate at a height from 0 (the lowest) to 1 (the highest)."""
    low = config.resolved_lr_min
    return low + height * (config.lr - low)
