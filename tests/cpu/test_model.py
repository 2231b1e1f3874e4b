"""Whole models on `cpu`: loss and gradients beside float64, and beside the same step called instead of recorded."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("llvmlite")

from tests.cpu.backends import levels
from tests.model.steps import BLOCK, MODELS, VOCABULARY, TrainingStep, make_batch, make_model

from alpha_core.dtype import DType
from alpha_model import GPT
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.target import host_target, target_of
from alpha_tensor.cpu_ref.backend import CpuRef

Results = Mapping[str, npt.NDArray[Any]]

ROWS = 7
F32_BOUND = 1e-5
"""20 times what these models have; numpy in f32 is as far from float64 as `cpu`."""
BF16_BOUND = 1.5e-2
"""Operands are rounded by up to 2^-9 = 2e-3, which a gradient meets in a dozen products on its way: 6e-3 to 1e-2 here,
in `cpu_ref` too."""
KINKED = {"relu": 0.1}
"""Where the slope jumps, a rounded product that changes its sign changes a gradient by all of it."""

needs_bf16 = pytest.mark.skipif(not host_target().has_bf16, reason="needs a processor with bf16 products")


@cache
def cpu(level: str | None = None, bf16: bool = False) -> Cpu:
    backend = Cpu(target_of(level) if level else None, threads=2)
    if bf16:
        backend.set_matmul_dtype(DType.bf16)
    return backend


@cache
def undivided() -> Cpu:
    """Takes a batch in one chunk."""
    backend = Cpu(threads=2)
    backend.set_knob("lanes", 1)
    backend.set_knob("chunk", 2048)
    return backend


@cache
def reference(name: str, rows: int = ROWS) -> Results:
    return TrainingStep.of(CpuRef(), make_model(name), DType.f64).called(make_batch(rows))


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
def test_loss_and_gradients_agree_with_float64(name: str) -> None:
    assert_near(TrainingStep.of(cpu(), make_model(name)).recorded(make_batch(ROWS)), reference(name), F32_BOUND)


@pytest.mark.parametrize("level", levels()[:-1])
def test_lower_levels_agree_with_float64(level: str) -> None:
    step = TrainingStep.of(cpu(level), make_model("everything"))
    assert_near(step.recorded(make_batch(ROWS)), reference("everything"), F32_BOUND)


@needs_bf16
@pytest.mark.parametrize("name", MODELS)
def test_bf16_products_are_close_to_float64(name: str) -> None:
    step = TrainingStep.of(cpu(bf16=True), make_model(name))
    assert_near(step.recorded(make_batch(ROWS)), reference(name), KINKED.get(name, BF16_BOUND))


@needs_bf16
def test_bf16_products_are_as_exact_as_those_of_the_reference() -> None:
    backend = CpuRef()
    backend.set_matmul_dtype(DType.bf16)
    errors = []
    for step in (TrainingStep.of(one, make_model("modern")) for one in (backend, cpu(bf16=True))):
        got, want = step.called(make_batch(ROWS)), reference("modern")
        errors.append(np.sqrt(sum(np.sum((got[name] - want[name]) ** 2) for name in want)))
    assert errors[1] <= 1.2 * errors[0]


@pytest.mark.parametrize("name", ["plain", "dropout", "modern"])
def test_recomputed_activations_give_the_same_gradients(name: str) -> None:
    model, batch = make_model(name), make_batch(ROWS)
    kept, recomputed = (TrainingStep.of(cpu(), model, recompute=recompute) for recompute in (False, True))
    want, got = kept.recorded(batch), recomputed.recorded(batch)
    for key in want:
        np.testing.assert_array_equal(got[key], want[key], err_msg=key)


@pytest.mark.parametrize("rows", [1, 3, 12])
def test_any_batch_is_summed_whole(rows: int) -> None:
    step = TrainingStep.of(cpu(), make_model("dropout"))
    assert_near(step.recorded(make_batch(rows)), reference("dropout", rows), F32_BOUND)


def test_gradients_add_up_over_calls() -> None:
    got = TrainingStep.of(cpu(), make_model()).recorded(make_batch(ROWS), times=3)
    want = {name: value * (1 if name == "loss" else 3) for name, value in reference("plain").items()}
    assert_near(got, want, F32_BOUND)


@pytest.mark.parametrize("name", MODELS)
def test_a_recorded_step_has_the_bits_of_the_called_one(name: str) -> None:
    backend = undivided()
    model, batch = make_model(name), make_batch(ROWS)
    called, recorded = TrainingStep.of(backend, model).called(batch), TrainingStep.of(backend, model).recorded(batch)
    for key in called:
        np.testing.assert_array_equal(recorded[key], called[key], err_msg=key)


@pytest.mark.parametrize("bf16", [False, pytest.param(True, marks=needs_bf16)])
@pytest.mark.parametrize("name", ["plain", "modern", "everything"])
def test_future_tokens_do_not_change_past_logits(name: str, bf16: bool) -> None:
    model, backend = make_model(name), cpu(bf16=bf16)
    parameters = TrainingStep.of(backend, model).parameters
    tokens, _, _ = make_batch(3)
    program = backend.record(lambda t: [model.logits(backend, parameters, t)], [tokens], name="logits")
    before = backend.download(program(tokens)[0]).reshape(3, BLOCK, VOCABULARY)
    for position in (1, 10, BLOCK - 1):
        changed = tokens.copy()
        changed[:, position:] = (changed[:, position:] + 1) % VOCABULARY
        after = backend.download(program(changed)[0]).reshape(3, BLOCK, VOCABULARY)
        np.testing.assert_array_equal(after[:, :position], before[:, :position])
        assert (after[:, position:] != before[:, position:]).any(axis=(0, 2)).all()


def test_a_model_of_the_smallest_sizes_works() -> None:
    model = make_model(vocab_size=1, block_size=1, n_layer=1, n_embd=1, n_head=1, ffn_width=1)
    tokens = np.zeros((1, 1), np.int32)
    assert _loss(model, tokens) == 0.0  # there is but one token


def _loss(model: GPT, tokens: npt.NDArray[np.int32]) -> float:
    step = TrainingStep.of(cpu(), model)
    return float(step.recorded((tokens, tokens, np.arange(len(tokens), dtype=np.int32)))["loss"])
