"""The learning-rate schedules: figures of PyTorch, and where they rise, stay and fall."""

import math

import pytest

from alpha_core.config import TrainConfig
from alpha_core.schedule import Schedule
from alpha_train.schedules import constant, cosine, linear, wsd

# PyTorch 2.13, torch.optim.lr_scheduler, from lr 0.8: three steps of LinearLR(0.25, 1, total_iters=3), and then without
# their own first value, which is 0.8, LinearLR(1, 0.25, total_iters=7), CosineAnnealingLR(7, eta_min=0.2), or for wsd
# 0.8 and LinearLR(1, 0.25, total_iters=4)
WARMUP = (0.2, 0.4, 0.6)
PYTORCH = {
    constant: (*WARMUP, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8),
    linear: (
        *(*WARMUP, 0.7142857142857144, 0.6285714285714287, 0.5428571428571429),
        *(0.4571428571428572, 0.37142857142857144, 0.2857142857142857, 0.2),
    ),
    cosine: (
        *(*WARMUP, 0.7702906603707258, 0.6870469405576202, 0.5667562801868944),
        *(0.4332437198131057, 0.31295305944237994, 0.22970933962927428, 0.2),
    ),
    wsd: (*WARMUP, 0.8, 0.8, 0.8, 0.65, 0.5, 0.35, 0.2),
}


@pytest.mark.parametrize("schedule", PYTORCH)
def test_rates_equal_pytorch(schedule: Schedule) -> None:
    config = TrainConfig(iters=10, lr=0.8, lr_min=0.2, warmup=3, decay_fraction=0.4)
    rates = [schedule(step, config) for step in range(1, 11)]
    assert rates == pytest.approx(PYTORCH[schedule], rel=1e-12)


def test_cosine_rises_linearly_peaks_and_falls_to_a_tenth() -> None:
    config = TrainConfig(iters=1000, lr=1e-3, warmup=100)
    assert cosine(1, config) == pytest.approx(1e-3 / 101)
    assert cosine(50, config) == pytest.approx(1e-3 * 50 / 101)
    assert cosine(101, config) == pytest.approx(1e-3, rel=1e-5)
    assert cosine(550, config) == pytest.approx((1e-3 + 1e-4) / 2)
    assert cosine(1000, config) == pytest.approx(1e-4)


@pytest.mark.parametrize("schedule", [cosine, linear, wsd])
def test_past_the_end_the_rate_stays(schedule: Schedule) -> None:
    config = TrainConfig(iters=1000, lr=1e-3)
    assert schedule(1500, config) == schedule(1000, config) == pytest.approx(1e-4)


def test_no_warm_up_starts_near_the_top() -> None:
    config = TrainConfig(iters=10, lr=1.0, lr_min=0.5, warmup=-1)
    assert cosine(1, config) == pytest.approx(0.75 + 0.25 * math.cos(math.pi / 10))
    assert constant(1, config) == 1.0


@pytest.mark.parametrize("schedule", PYTORCH)
def test_the_default_warm_up_is_a_fifth_of_the_run(schedule: Schedule) -> None:
    config = TrainConfig(iters=50, lr=1.0)
    assert [schedule(step, config) for step in range(1, 11)] == pytest.approx([step / 11 for step in range(1, 11)])
    assert schedule(11, config) > 0.97


@pytest.mark.parametrize(
    ("fraction", "warmup", "start"), [(0.2, -1, 80), (0.0, -1, 100), (1.0, -1, 0), (0.5, 70, 70), (0.125, -1, 88)]
)
def test_wsd_is_stable_until_its_decay_which_waits_for_the_warm_up(fraction: float, warmup: int, start: int) -> None:
    config = TrainConfig(iters=100, lr=1.0, lr_min=0.25, warmup=warmup, decay_fraction=fraction)
    rates = [wsd(step, config) for step in range(1, 101)]
    assert set(rates[max(warmup, 0) : start]) <= {1.0}
    assert rates[start:] == sorted(rates[start:], reverse=True)
    assert rates[-1] == (pytest.approx(0.25) if start < 100 else 1.0)
