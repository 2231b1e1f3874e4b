"""f16: the scale of the loss, what happens when gradients overflow, and that a run goes on with the scale it had."""

import math

import numpy as np
import pytest
from tests.train.helpers import make_batch, make_trainer, state_of
from tests.train.test_run import MakeConfig, Recorder, StopAfter, losses, stored_config

from alpha_core import Plugins
from alpha_core.config import TrainConfig
from alpha_core.errors import CheckpointError, ConfigError
from alpha_tensor import CpuRef
from alpha_train import resume_run, start_run
from alpha_train.loss_scale import LossScale


def told(scale: LossScale) -> tuple[float, float]:
    state = scale.to_json()
    return state["scale"], state["good_steps"]


def take(scale: LossScale, backend: CpuRef, finite: float, times: int = 1) -> None:
    for _ in range(times):
        scale.update(backend.full((), finite))


def test_the_scale_doubles_after_200_good_steps_in_a_row() -> None:
    backend = CpuRef()
    scale = LossScale(backend)
    take(scale, backend, 1.0, 199)
    assert told(scale) == (128.0, 199.0)
    take(scale, backend, 1.0)
    assert told(scale) == (256.0, 0.0)


def test_an_overflow_halves_the_scale_and_starts_counting_anew() -> None:
    backend = CpuRef()
    scale = LossScale(backend)
    take(scale, backend, 1.0, 150)
    take(scale, backend, 0.0)
    assert told(scale) == (64.0, 0.0)
    take(scale, backend, 1.0, 199)
    assert told(scale) == (64.0, 199.0)


def test_the_scale_has_limits() -> None:
    backend = CpuRef()
    scale = LossScale(backend)
    take(scale, backend, 0.0, 20)
    assert told(scale) == (1.0, 0.0)
    scale.restore({"scale": 2.0**24, "good_steps": 199})
    take(scale, backend, 1.0)
    assert told(scale) == (2.0**24, 0.0)


def test_the_scale_is_taken_out_of_gradients_and_norm() -> None:
    short, single = make_trainer(precision="f16"), make_trainer()
    results = []
    for trainer in (short, single):
        trainer.accumulate(make_batch(0))
        results.append(trainer.update(1e-2))
    assert results[0].loss_scale == 128.0
    assert results[1].loss_scale is None
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-2)
    assert results[0].grad_norm == pytest.approx(results[1].grad_norm, rel=3e-2)
    for name, array in state_of(short).items():
        if name.endswith(".m"):
            np.testing.assert_allclose(array, state_of(single)[name], atol=0.02 * np.abs(array).max(), err_msg=name)


def test_an_overflow_is_skipped_and_said_once_for_each_step(make_config: MakeConfig, plugins: Plugins) -> None:
    observer = Recorder()
    config = make_config(precision="f16", iters=3)
    original = LossScale.INITIAL
    try:
        LossScale.INITIAL = 2.0**24  # the rounded operands of the backward pass overflow
        start_run(config, plugins, observer=observer)
    finally:
        LossScale.INITIAL = original
    events = [event for event in observer.of("event") if event.kind == "grad_overflow"]
    assert events
    assert "which is halved" in events[0].message
    scales = [row["loss_scale"] for row in observer.of("step")]
    assert scales[0] == 2.0**24
    assert scales[1] == 2.0**23
    assert all(math.isfinite(row["loss"]) for row in observer.of("step"))


def test_stopping_and_resuming_keeps_the_scale(make_config: MakeConfig, plugins: Plugins) -> None:
    config = make_config(precision="f16", dropout=0.1)
    original = LossScale.GROWTH_INTERVAL
    try:
        LossScale.GROWTH_INTERVAL = 5
        straight = start_run(config, plugins).folder
        stopped = start_run(config, plugins, stop=StopAfter(6)).folder
        resumed = resume_run(stopped, stored_config(stopped), plugins).folder
    finally:
        LossScale.GROWTH_INTERVAL = original
    assert losses(resumed) == losses(straight)
    wanted = [row["loss_scale"] for row in straight.read_metrics().rows]
    assert [row["loss_scale"] for row in resumed.read_metrics().rows] == wanted
    assert wanted[-1] == 512.0


def test_a_damaged_scale_is_refused() -> None:
    with pytest.raises(CheckpointError, match="loss scale"):
        LossScale(CpuRef()).restore({"scale": "128"})


def test_fp16_is_another_word_for_the_precision() -> None:
    assert TrainConfig(fp16=True).precision == "f16"
    assert TrainConfig().precision == "f32"
    with pytest.raises(ConfigError, match="`fp16` = `true` contradicts `precision` = `bf16`"):
        TrainConfig(fp16=True, precision="bf16")
