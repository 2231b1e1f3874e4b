"""A number that is not finite ends as a loss that is not finite and a step that is not applied."""

import math

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.model.steps import MODELS, VOCABULARY, make_batch, make_model

from alpha_core.config import TrainConfig
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.target import host_target
from alpha_train.data import Batch
from alpha_train.optimizers.adamw import AdamW
from alpha_train.trainer import Trainer

PRECISIONS = ["f32", "bf16"] if host_target().has_bf16 else ["f32"]
ROWS = 7


@pytest.fixture(scope="module")
def backend() -> Cpu:
    return Cpu(threads=2)


def make_trainer(backend: Cpu, name: str, precision: str, lr: float = 1e-2) -> Trainer:
    config = TrainConfig(iters=20, batch_size=ROWS, lr=lr, precision=precision, grad_clip=0.0)
    return Trainer(make_model(name, n_layer=1), backend, config, AdamW(config))


def batch(seed: int = 0) -> Batch:
    return Batch(*make_batch(ROWS, seed))


def with_one(backend: Cpu, tensor: Tensor, value: float) -> Tensor:
    """Returns a copy of a tensor with another number in its middle."""
    array = backend.download(tensor)
    array.reshape(-1)[array.size // 2] = value
    return backend.upload(array)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["plain", "modern", "everything", "relu", "universal"])
def test_one_broken_number_in_any_parameter_is_noticed(backend: Cpu, name: str, precision: str) -> None:
    trainer = make_trainer(backend, name, precision)
    trainer.accumulate(batch())
    assert trainer.update(1e-2).applied
    seen = set(batch().tokens.reshape(-1))
    middle = VOCABULARY * trainer.model.config.n_embd // 2 // trainer.model.config.n_embd
    assert middle in seen  # or a broken embedding of it would be none of the batch's business
    before = trainer.parameters_on_host()
    for key, parameter in trainer.parameters.items():
        for value in (math.nan, math.inf, -math.inf):
            whole = backend.upload(before[key])
            backend.assign(parameter, with_one(backend, parameter, value))
            broken = trainer.parameters_on_host()
            trainer.accumulate(batch())
            result = trainer.update(1e-2)
            if not (name == "relu" and key.endswith("fc1") and value == -math.inf):  # which relu turns into 0
                assert not math.isfinite(result.loss) or not math.isfinite(result.grad_norm), (key, value)
                assert not result.applied
                for other, array in trainer.parameters_on_host().items():
                    np.testing.assert_array_equal(array, broken[other], err_msg=f"{other} with {value} in {key}")
            backend.assign(parameter, whole)
    trainer.accumulate(batch(1))
    result = trainer.update(1e-2)
    assert result.applied
    assert math.isfinite(result.loss)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODELS)
def test_what_overflows_ends_as_a_step_that_is_not_applied(backend: Cpu, name: str, precision: str) -> None:
    trainer = make_trainer(backend, name, precision)
    for key, parameter in trainer.parameters.items():
        backend.assign(parameter, backend.mul(parameter, 1e30 if "norm" not in key.lower() else 1.0))
    before = trainer.parameters_on_host()
    trainer.accumulate(batch())
    result = trainer.update(1e-2)
    assert not (math.isfinite(result.loss) and math.isfinite(result.grad_norm))
    assert not result.applied
    for key, array in trainer.parameters_on_host().items():
        np.testing.assert_array_equal(array, before[key])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_that_explodes_stands_still(backend: Cpu, precision: str) -> None:
    trainer = make_trainer(backend, "plain", precision, lr=1e30)
    results = []
    for step in range(8):
        trainer.accumulate(batch(step))
        results.append(trainer.update(1e30))
    assert results[0].applied
    stopped = next(index for index, result in enumerate(results) if not result.applied)
    for result in results[stopped:]:
        assert not result.applied
        assert not (math.isfinite(result.loss) and math.isfinite(result.grad_norm))
    assert all(np.isfinite(array).all() for array in trainer.parameters_on_host().values())
