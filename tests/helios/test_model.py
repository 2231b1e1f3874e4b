"""Whole models on `helios`: loss and gradients beside float64, recorded beside called, causality, both short dtypes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.model.steps import BLOCK, MODELS, VOCABULARY, TrainingStep, make_batch, make_model

from alpha_core.dtype import DType
from alpha_helios.backend import Helios
from alpha_tensor.cpu_ref.backend import CpuRef

Results = Mapping[str, npt.NDArray[Any]]

ROWS = 5
F32_BOUND = 1e-5
SHORT = {DType.bf16: 6e-2, DType.f16: 8e-3}
"""Operands and activations are rounded by up to 2^-9 and 2^-12, some dozen times on the way of a gradient."""
KINKED = {"relu": 0.2}
"""Where the slope jumps, a rounded product that changes its sign changes a gradient by all of it."""


@cache
def reference(name: str, rows: int = ROWS) -> Results:
    return TrainingStep.of(CpuRef(), make_model(name), DType.f64).called(make_batch(rows))


@contextmanager
def products_of(backend: Helios, dtype: DType) -> Iterator[None]:
    backend.set_matmul_dtype(dtype)
    try:
        yield
    finally:
        backend.set_matmul_dtype(DType.f32)


def assert_near(got: Results, want: Results, bound: float) -> None:
    """Compares the loss, and each gradient by the length of its error."""
    assert got.keys() == want.keys()
    errors = {}
    for name, right in want.items():
        error = np.linalg.norm(got[name].astype(np.float64) - right)
        errors[name] = float(error / np.linalg.norm(right))
    worst = max(errors, key=lambda name: errors[name])
    assert errors[worst] <= bound, f"`{worst}` is off by {errors[worst]:.1e} of its length"


@pytest.mark.parametrize("name", MODELS)
def test_loss_and_gradients_agree_with_float64(name: str, helios: Helios) -> None:
    assert_near(TrainingStep.of(helios, make_model(name)).recorded(make_batch(ROWS)), reference(name), F32_BOUND)


@pytest.mark.parametrize("name", ["plain", "modern", "everything"])
def test_a_recorded_step_has_the_bits_of_the_called_one(name: str, helios: Helios) -> None:
    model, batch = make_model(name), make_batch(ROWS)
    called, recorded = TrainingStep.of(helios, model).called(batch), TrainingStep.of(helios, model).recorded(batch)
    for key in called:
        np.testing.assert_array_equal(recorded[key], called[key], err_msg=key)


@pytest.mark.parametrize("dtype", SHORT)
@pytest.mark.parametrize("name", ["plain", "modern", "everything"])
def test_short_activations_stay_close_to_float64(name: str, dtype: DType, helios: Helios) -> None:
    with products_of(helios, dtype):
        got = TrainingStep.of(helios, make_model(name)).recorded(make_batch(ROWS))
    assert_near(got, reference(name), KINKED.get(name, SHORT[dtype]))


@pytest.mark.parametrize("dtype", SHORT)
def test_short_activations_recorded_have_the_bits_of_those_called(dtype: DType, helios: Helios) -> None:
    model, batch = make_model("everything"), make_batch(ROWS)
    with products_of(helios, dtype):
        called, recorded = TrainingStep.of(helios, model).called(batch), TrainingStep.of(helios, model).recorded(batch)
    for key in called:
        np.testing.assert_array_equal(recorded[key], called[key], err_msg=key)


@pytest.mark.parametrize("dtype", [DType.f32, DType.bf16])
@pytest.mark.parametrize("name", ["plain", "everything"])
def test_future_tokens_do_not_change_past_logits(name: str, dtype: DType, helios: Helios) -> None:
    model = make_model(name)
    with products_of(helios, dtype):
        parameters = TrainingStep.of(helios, model).parameters
        tokens, _, _ = make_batch(3)
        program = helios.record(lambda t: [model.logits(helios, parameters, t)], [tokens], name="logits")
    before = helios.download(program(tokens)[0]).reshape(3, BLOCK, VOCABULARY)
    for position in (1, 10, BLOCK - 1):
        changed = tokens.copy()
        changed[:, position:] = (changed[:, position:] + 1) % VOCABULARY
        after = helios.download(program(changed)[0]).reshape(3, BLOCK, VOCABULARY)
        np.testing.assert_array_equal(after[:, :position], before[:, :position])
        assert (after[:, position:] != before[:, position:]).any(axis=(0, 2)).all()


def test_a_model_of_the_smallest_sizes_works(helios: Helios) -> None:
    model = make_model(vocab_size=1, block_size=1, n_layer=1, n_embd=1, n_head=1, ffn_width=1)
    tokens = np.zeros((1, 1), np.int32)
    step = TrainingStep.of(helios, model)
    assert float(step.recorded((tokens, tokens, np.zeros(1, np.int32)))["loss"]) == 0.0  # there is but one token
