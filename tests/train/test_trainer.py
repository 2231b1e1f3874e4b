"""The two programs of a training step: accumulate and update."""

import math

import numpy as np
import pytest
from tests.train.helpers import VOCABULARY, make_batch, make_trainer, state_of

from alpha_core.errors import BackendError, CheckpointError
from alpha_tensor import CpuRef
from alpha_train.data import Batch


def split(batch: Batch, parts: int) -> list[Batch]:
    arrays = (batch.tokens, batch.targets, batch.rows)
    return [Batch(*part) for part in zip(*(np.split(array, parts) for array in arrays), strict=True)]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_accumulating_parts_of_a_batch_equals_the_whole_batch(dropout: float) -> None:
    whole, parts = (make_trainer(dropout, precision="f64") for _ in range(2))
    for seed in range(3):
        batch = make_batch(seed)
        whole.accumulate(batch)
        for part in split(batch, 4):
            parts.accumulate(part)
        one, other = whole.update(1e-2), parts.update(1e-2)
        assert one.loss == pytest.approx(other.loss, rel=1e-12)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-9)
    for name, array in state_of(whole).items():
        np.testing.assert_allclose(state_of(parts)[name], array, rtol=1e-6, atol=1e-12, err_msg=name)


def test_ignored_targets_do_not_count() -> None:
    trainer, reference = make_trainer(precision="f64"), make_trainer(precision="f64")
    batch = make_batch(0)
    padded_targets = np.concatenate([batch.targets, np.full_like(batch.targets, -1)])
    padded = Batch(np.concatenate([batch.tokens, batch.tokens]), padded_targets, np.arange(8, dtype=np.int32))
    trainer.accumulate(padded)
    reference.accumulate(batch)
    one, other = trainer.update(1e-2), reference.update(1e-2)
    assert one.loss == pytest.approx(other.loss, rel=1e-12)
    assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-9)


def test_gradients_are_scaled_to_the_clip_norm() -> None:
    trainer = make_trainer(grad_clip=0.05)
    trainer.accumulate(make_batch(0))
    result = trainer.update(1e-2)
    assert result.grad_norm > 0.05
    assert result.clip_coefficient == pytest.approx(0.05 / result.grad_norm, rel=1e-5)
    moment = math.sqrt(sum(float((slots["m"] ** 2).sum()) for slots in trainer.state_on_host().values()))
    assert moment == pytest.approx(0.1 * 0.05, rel=1e-4)  # (1 - beta1) times the clipped gradient


def test_clipping_can_be_switched_off() -> None:
    trainer = make_trainer(grad_clip=0.0)
    trainer.accumulate(make_batch(0))
    assert trainer.update(1e-2).clip_coefficient == 1.0


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_non_finite_step_changes_nothing_and_the_next_one_works(broken: float) -> None:
    trainer = make_trainer()
    trainer.accumulate(make_batch(0))
    trainer.update(1e-2)
    weight = trainer.parameters["layer.0.attn.wo"]
    good = trainer.backend.download(weight)
    trainer.backend.assign(weight, trainer.backend.full(weight.shape, broken))
    before = state_of(trainer)
    trainer.accumulate(make_batch(1))
    result = trainer.update(1e-2)
    assert not result.applied
    assert not math.isfinite(result.grad_norm)
    for name, array in state_of(trainer).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    trainer.backend.assign(weight, trainer.backend.upload(good))
    trainer.accumulate(make_batch(2))
    recovered = trainer.update(1e-2)
    assert recovered.applied
    assert math.isfinite(recovered.loss)
    assert trainer.step == 3  # a skipped step counts, so that schedules and batches stay functions of the step


def test_a_spike_is_skipped() -> None:
    trainer = make_trainer(spike_threshold=1e-3)
    before = state_of(trainer)
    trainer.accumulate(make_batch(0))
    result = trainer.update(1e-2)
    assert not result.applied
    assert result.grad_norm > 1e-3
    for name, array in state_of(trainer).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.3, "accum_steps": 2, "activation_checkpointing": True}])
def test_restoring_continues_bit_exactly(settings: dict[str, object]) -> None:
    def run(trainer, first: int, last: int) -> list[float]:  # type: ignore[no-untyped-def]
        losses = []
        for step in range(first, last):
            trainer.accumulate(make_batch(2 * step))
            trainer.accumulate(make_batch(2 * step + 1, first_row=4))
            losses.append(trainer.update(1e-2 / (step + 1)).loss)
        return losses

    straight, first = make_trainer(**settings), make_trainer(**settings)
    losses = run(straight, 0, 6)
    assert run(first, 0, 3) == losses[:3]
    second = make_trainer(**settings, seed=42)
    second.restore(first.parameters_on_host(), first.state_on_host(), first.step)
    assert run(second, 3, 6) == losses[3:]
    for name, array in state_of(straight).items():
        np.testing.assert_array_equal(state_of(second)[name], array, err_msg=name)


@pytest.mark.parametrize("damage", ["missing", "shape", "extra"])
def test_tensors_that_do_not_fit_are_refused_before_anything_changes(damage: str) -> None:
    trainer, other = make_trainer(), make_trainer(seed=1)
    parameters, state = other.parameters_on_host(), other.state_on_host()
    match damage:
        case "missing":
            del state["wte"]["v"]
            expected = r"the checkpoint has no tensor `wte \(v\)`"
        case "shape":
            parameters["lmHead"] = parameters["lmHead"][:-1]
            expected = r"tensor `lmHead` is \[16, 16\] in the checkpoint, \[17, 16\] here"
        case _:
            parameters["layer.2.ln1.weight"] = np.ones(16, np.float32)
            expected = "a tensor `layer.2.ln1.weight`, for which this model"
    before = state_of(trainer)
    with pytest.raises(CheckpointError, match=expected):
        trainer.restore(parameters, state, 5)
    assert trainer.step == 0
    for name, array in state_of(trainer).items():
        np.testing.assert_array_equal(array, before[name])


def test_only_two_dimensional_parameters_decay() -> None:
    decayed, plain = make_trainer(weight_decay=0.5), make_trainer(weight_decay=0.0)
    for trainer in (decayed, plain):
        trainer.accumulate(make_batch(0))
        trainer.update(1e-2)
    without = plain.parameters_on_host()
    for name, array in decayed.parameters_on_host().items():
        assert np.array_equal(array, without[name]) == (array.ndim == 1), name


def test_training_memorizes_a_batch() -> None:
    trainer, batch = make_trainer(), make_batch(0)
    for _ in range(150):
        trainer.accumulate(batch)
        result = trainer.update(1e-2)
    assert result.loss < 0.3 < math.log(VOCABULARY)
    assert trainer.loss([batch]) < 0.3


def test_a_backend_that_cannot_compute_in_the_precision_is_refused() -> None:
    from alpha_core.config import TrainConfig
    from alpha_core.dtype import DType
    from alpha_train.optimizers.adamw import AdamW
    from alpha_train.trainer import Trainer

    class Single(CpuRef):
        name = "single"
        compute_dtypes = (DType.f32,)

    model, config = make_trainer().model, TrainConfig(precision="f64")
    with pytest.raises(BackendError, match="backend `single` does not compute in f64; it computes in f32"):
        Trainer(model, Single(), config, AdamW(config))
