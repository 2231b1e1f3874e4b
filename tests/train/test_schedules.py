"""The cosine schedule: warm-up, top, end."""

import math

import pytest

from alpha_core.config import TrainConfig
from alpha_train.schedules import cosine


def test_it_rises_linearly_peaks_and_falls_to_a_tenth() -> None:
    config = TrainConfig(iters=1000, lr=1e-3, warmup=100)
    assert cosine(1, config) == pytest.approx(1e-3 / 101)
    assert cosine(50, config) == pytest.approx(1e-3 * 50 / 101)
    assert cosine(101, config) == pytest.approx(1e-3, rel=1e-5)
    assert cosine(550, config) == pytest.approx((1e-3 + 1e-4) / 2)
    assert cosine(1000, config) == pytest.approx(1e-4)
    assert cosine(1500, config) == pytest.approx(1e-4)  # past the end it stays


def test_no_warm_up_starts_near_the_top() -> None:
    config = TrainConfig(iters=10, lr=1.0, lr_min=0.5, warmup=-1)
    assert cosine(1, config) == pytest.approx(0.75 + 0.25 * math.cos(math.pi / 10))


def test_the_default_warm_up_is_a_fifth_of_the_run() -> None:
    config = TrainConfig(iters=50, lr=1.0)
    rising = [cosine(step, config) for step in range(1, 12)]
    assert rising == sorted(rising)
    assert cosine(11, config) > cosine(13, config)
