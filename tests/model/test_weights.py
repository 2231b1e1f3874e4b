"""Quantized weights: how far they are from those that were trained, and what a model makes of them."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from tests.model.options import BLOCK, OPTIONS, VOCABULARY, make_model, make_parameters

from alpha_core.dtype import DType, bf16_bits, bf16_values
from alpha_model import GPT
from alpha_model.weights import quantize, upload_parameters
from alpha_tensor import CpuRef

TOKENS = np.random.default_rng(2).integers(0, VOCABULARY, (2, BLOCK)).astype(np.int32)

MATRICES = st_numpy.arrays(np.float64, st_numpy.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-100, 100))


@given(MATRICES)
def test_integers_times_scales_are_within_half_a_step(weight: npt.NDArray[np.float64]) -> None:
    levels, scale = quantize(weight)
    assert (levels.dtype, scale.dtype, scale.shape) == (np.int8, np.float32, weight.shape[:1])
    steps = scale[:, None].astype(np.float64)
    np.testing.assert_allclose(levels * steps, weight, atol=0.5001 * float(scale.max(initial=0.0)) + 1e-40)
    assert (np.abs(levels * steps - weight) <= 0.5001 * steps + 1e-40).all()
    largest = np.abs(levels.astype(int)).max(axis=1)
    assert ((largest == 127) | (np.abs(weight).max(axis=1) < 1e-35)).all()


def test_a_row_that_is_not_finite_stays_so() -> None:
    levels, scale = quantize(np.array([[1.0, np.nan], [np.inf, 0.0], [2.0, 1.0], [0.0, 0.0]]))
    with np.errstate(invalid="ignore"):
        values = levels * scale[:, None]
    assert list(np.isfinite(values).all(axis=1)) == [False, False, True, True]
    np.testing.assert_allclose(values[2:], [[2.0, 1.0], [0.0, 0.0]], atol=0.01)


def uploaded(model: GPT, values: dict[str, npt.NDArray[np.float64]], weights: str | None = None) -> dict[str, object]:
    backend = CpuRef()
    return dict(upload_parameters(backend, model.parameter_specs, values, DType.f64, weights, head=model.head_name))


def logits(model: GPT, parameters: dict[str, object]) -> np.ndarray:
    backend = CpuRef()
    return backend.download(model.logits(backend, parameters, backend.upload(TOKENS)))  # type: ignore[arg-type]


def stood_for(model: GPT, values: dict[str, npt.NDArray[np.float64]], weights: str) -> dict[str, np.ndarray]:
    """Returns the values that the stored weights stand for."""
    result = dict(values)
    for spec in model.parameter_specs:
        if spec.kind == "matrix" or spec.name == model.head_name:
            if weights == "bf16":
                result[spec.name] = bf16_values(bf16_bits(values[spec.name])).astype(np.float64)
            else:
                levels, scale = quantize(values[spec.name])
                result[spec.name] = levels * scale[:, None].astype(np.float64)
    return result


@pytest.mark.parametrize("weights", ["bf16", "int8"])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_quantized_model_is_the_model_of_the_weights_that_they_stand_for(name: str, weights: str) -> None:
    model = make_model(**OPTIONS[name])
    values = make_parameters(model)
    quantized = uploaded(model, values, weights)
    dtypes = {name: parameter.dtype for name, parameter in quantized.items()}  # type: ignore[attr-defined]
    stored = DType.bf16 if weights == "bf16" else DType.i8
    assert dtypes["layer.1.attn.wqkv"] is dtypes[model.head_name] is stored
    assert dtypes["layer.0.ln1.weight"] is DType.f64
    if not model.config.tie_embeddings:
        assert dtypes["wte"] is DType.f64
    expected = logits(model, uploaded(model, stood_for(model, values, weights)))
    np.testing.assert_allclose(logits(model, quantized), expected, rtol=1e-9, atol=1e-11)


# The largest error of a logit, as a share of the spread of all logits.
@pytest.mark.parametrize(("weights", "bound"), [("f32", 0.0), ("bf16", 0.03), ("int8", 0.1)])
@pytest.mark.parametrize("name", ["plain", "modern", "bias", "gelu"])
def test_logits_of_quantized_weights_are_close(name: str, weights: str, bound: float) -> None:
    model = make_model(**{"n_embd": 64, "n_head": 4, **OPTIONS[name]})
    values = {name: value * 0.3 if value.ndim == 2 else value for name, value in make_parameters(model).items()}
    exact = logits(model, uploaded(model, values))
    error = np.abs(logits(model, uploaded(model, values, weights)) - exact).max() / exact.std()
    assert error <= bound
    assert weights == "f32" or error > bound / 30  # something was rounded
