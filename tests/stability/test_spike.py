"""Spikes: skipped steps, a smaller learning rate, recovery, and the same after a resumption."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.train.helpers import make_batch, make_trainer
from tests.train.test_run import Recorder, StopAfter, stored_config

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_core.errors import CheckpointError
from alpha_train import RunFolder, resume_run, start_run
from alpha_train.progress import Progress
from alpha_train.spike import SpikeBackoff
from alpha_train.trainer import StepResult

MakeConfig = Callable[..., RunConfig]


def spike(backoff: SpikeBackoff) -> None:
    backoff.add_step(applied=False, spiked=True)


def test_every_spike_halves_the_learning_rate_down_to_a_floor() -> None:
    backoff = SpikeBackoff()
    scales = []
    for _ in range(6):
        spike(backoff)
        scales.append(backoff.scale)
    assert scales == [0.5, 0.25, 0.125, 0.1, 0.1, 0.1]


def test_200_good_steps_bring_the_learning_rate_back() -> None:
    backoff = SpikeBackoff()
    spike(backoff)
    spike(backoff)
    told = [backoff.add_step(applied=True, spiked=False) for _ in range(250)]
    assert told == [False] * 199 + [True] + [False] * 50
    assert backoff == SpikeBackoff()


@pytest.mark.parametrize("spiked", [True, False])
def test_a_skipped_step_starts_the_count_of_good_steps_anew(spiked: bool) -> None:
    backoff = SpikeBackoff()
    spike(backoff)
    for _ in range(150):
        backoff.add_step(applied=True, spiked=False)
    backoff.add_step(applied=False, spiked=spiked)
    assert backoff == SpikeBackoff(scale=0.25 if spiked else 0.5, good_steps=0)


@given(st.lists(st.sampled_from(["good", "bad", "spike"]), max_size=300), st.integers(0, 300))
def test_a_stored_backoff_goes_on_as_if_it_had_not_been_stored(outcomes: list[str], cut: int) -> None:
    straight, stored = SpikeBackoff(), Progress()
    for index, outcome in enumerate(outcomes):
        if index == cut:
            stored = Progress.from_json(json.loads(json.dumps({**stored.to_json(), "dataset": "other things"})))
        step = {"applied": outcome == "good", "spiked": outcome == "spike"}
        assert straight.add_step(**step) == stored.backoff.add_step(**step)
        assert straight == stored.backoff
        assert SpikeBackoff.FLOOR <= straight.scale <= 1.0
        assert 0 <= straight.good_steps < SpikeBackoff.RECOVERY_STEPS


def test_only_a_finite_norm_above_the_threshold_is_a_spike() -> None:
    def result(loss: float, norm: float, applied: bool) -> StepResult:
        return StepResult(loss=loss, grad_norm=norm, clip_coefficient=1.0, applied=applied)

    assert result(2.0, 50.0, applied=False).spiked
    assert not result(2.0, 50.0, applied=True).spiked
    assert not result(2.0, math.inf, applied=False).spiked
    assert not result(math.nan, 50.0, applied=False).spiked


def test_checkpoints_without_the_record_start_it_anew() -> None:
    assert Progress.from_json({"skipped_steps": 3, "loss": 1.5}) == Progress(skipped_steps=3, loss=1.5)


@pytest.mark.parametrize("content", [{"backoff": {"scales": 1}}, {"backoff": 5}, {"trend": None}])
def test_a_record_of_another_form_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match="progress cannot be read"):
        Progress.from_json(content)


def spiky(make_config: MakeConfig, plugins: Plugins) -> RunConfig:
    """Returns a run whose first step is calm and some of whose later ones are spikes."""
    settings = {"iters": 20, "dropout": 0.2, "accum_steps": 2, "warmup": -1, "schedule": "constant"}
    norms = [row["gradNorm"] for row in start_run(make_config(**settings), plugins).folder.read_metrics().rows]
    return make_config(**settings, spike_threshold=sorted(norms)[-4])


def test_a_run_resumes_bit_for_bit_with_the_learning_rate_scaled_down(
    make_config: MakeConfig, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SpikeBackoff, "RECOVERY_STEPS", 2)  # so that a short run sees a recovery, too
    config = spiky(make_config, plugins)
    recorder = Recorder()
    straight = start_run(config, plugins, observer=recorder).folder
    kinds = [event.kind for event in recorder.of("event")]
    assert {"spike_skip", "spike_recovered"} <= set(kinds)
    scales = {metrics["step"]: metrics["lr"] / config.train.lr for metrics in recorder.of("step")}
    assert scales[1] == 1.0
    assert min(scales.values()) <= 0.5
    (first, *_) = [event for event in recorder.of("event") if event.kind == "spike_skip"]
    assert scales[first.step] == 1.0, "the step after the spike is the first with a smaller learning rate"
    assert scales[first.step + 1] == first.payload["lr_scale"] == 0.5
    assert "learning rate times 0.5" in first.message

    stopped = start_run(config, plugins, stop=StopAfter(first.step + 1)).folder
    assert stopped.latest_checkpoint().extra["backoff"]["scale"] < 1.0
    resume_run(stopped, stored_config(stopped), plugins)
    assert rates(stopped) == rates(straight)
    ours, theirs = straight.latest_checkpoint(), stopped.latest_checkpoint()
    assert theirs.extra["backoff"] == ours.extra["backoff"]
    assert theirs.optimizer_step == ours.optimizer_step < 20
    for name, array in ours.parameters.items():
        np.testing.assert_array_equal(theirs.parameters[name], array, err_msg=name)


def rates(folder: RunFolder) -> list[tuple[float, float]]:
    return [(row["loss"], row["lr"]) for row in folder.read_metrics().rows]


EMBEDDINGS = {"wte", "wpe", "lmHead"}


def first_step(scale: float) -> tuple[StepResult, dict[str, np.ndarray]]:
    """Returns the result and the unclipped gradients: AdamW's first moments are a tenth of what it was given."""
    trainer = make_trainer(precision="f64", emb_grad_scale=scale, grad_clip=0.1)
    trainer.accumulate(make_batch(0))
    result = trainer.update(1e-2)
    undo = (1.0 - trainer.config.beta1) * result.clip_coefficient
    return result, {name: slots["m"] / undo for name, slots in trainer.state_on_host().items()}


def test_embedding_gradients_are_scaled_before_the_norm_and_the_clip() -> None:
    _, plain = first_step(1.0)
    result, scaled = first_step(0.25)
    for name, gradient in plain.items():
        expected = gradient * 0.25 if name in EMBEDDINGS else gradient
        np.testing.assert_allclose(scaled[name], expected, rtol=1e-9, atol=1e-15, err_msg=name)
    norm = math.sqrt(sum(float(np.sum(gradient**2)) for gradient in scaled.values()))
    assert result.grad_norm == pytest.approx(norm, rel=1e-9)
    assert result.clip_coefficient == pytest.approx(0.1 / norm, rel=1e-9)


def test_frozen_embeddings_do_not_move() -> None:
    trainer = make_trainer(emb_grad_scale=0.0, weight_decay=0.0)
    before = trainer.parameters_on_host()
    trainer.accumulate(make_batch(0))
    trainer.update(1e-2)
    for name, array in trainer.parameters_on_host().items():
        assert np.array_equal(array, before[name]) == (name in EMBEDDINGS), name


def test_the_run_folder_names_the_effective_learning_rate(make_config: MakeConfig, plugins: Plugins) -> None:
    config = make_config(iters=3, spike_threshold=1e-6, warmup=-1, schedule="constant")
    rows = start_run(config, plugins).folder.read_metrics().rows
    assert [row["lr"] for row in rows] == [1e-2, 5e-3, 2.5e-3]
