"""What a GPT promises: causality, batch independence, names, initialization, determinism."""

import math

import numpy as np
import pytest
from tests.model.options import BLOCK, OPTIONS, VOCABULARY, make_model, make_parameters

from alpha_core.config import ModelConfig
from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError, UnknownNameError
from alpha_core.expression import X, coefficient
from alpha_model import GPT, Randomness
from alpha_model.activation import Activation
from alpha_model.parameters import parameter_count
from alpha_tensor import CpuRef


def logits_of(name: str, tokens: np.ndarray, rows: tuple[int, ...] = (0, 1)) -> np.ndarray:
    backend, model = CpuRef(), make_model(**OPTIONS[name])
    parameters = {key: backend.upload(value) for key, value in make_parameters(model).items()}
    random = None
    if model.config.dropout:
        random = Randomness(5, backend.full((), 2, DType.i32), backend.upload(np.array(rows, np.int32)))
    logits = model.logits(backend, parameters, backend.upload(tokens), random)
    return backend.download(logits).reshape(*tokens.shape, VOCABULARY)


@pytest.mark.parametrize("name", OPTIONS)
def test_future_tokens_do_not_change_past_logits(name: str) -> None:
    tokens = np.random.default_rng(2).integers(0, VOCABULARY, (2, BLOCK)).astype(np.int32)
    before = logits_of(name, tokens)
    for t in range(BLOCK):
        changed = tokens.copy()
        changed[0, t] = (changed[0, t] + 1) % VOCABULARY
        after = logits_of(name, changed)
        np.testing.assert_array_equal(after[0, :t], before[0, :t])
        np.testing.assert_array_equal(after[1], before[1])  # nor do other sequences
        assert not np.array_equal(after[0, t], before[0, t])


def test_dropout_depends_on_the_row_in_the_whole_batch_not_on_the_split() -> None:
    tokens = np.random.default_rng(2).integers(0, VOCABULARY, (2, BLOCK)).astype(np.int32)
    whole = logits_of("dropout", tokens, rows=(4, 9))
    second = logits_of("dropout", tokens[1:], rows=(9,))
    np.testing.assert_allclose(second[0], whole[1], rtol=1e-12)


def test_parameter_names_are_those_of_the_checkpoint_format() -> None:
    names = [spec.name for spec in make_model(n_layer=1).parameter_specs]
    assert names == [
        "wte",
        "wpe",
        "layer.0.ln1.weight",
        "layer.0.ln1.bias",
        "layer.0.attn.wqkv",
        "layer.0.attn.wo",
        "layer.0.ln2.weight",
        "layer.0.ln2.bias",
        "layer.0.mlp.fc1",
        "layer.0.mlp.fc2",
        "lnF.weight",
        "lnF.bias",
        "lmHead",
    ]


def test_gpt2_small_has_124_million_parameters() -> None:
    config = ModelConfig(
        vocab_size=50257, block_size=1024, n_layer=12, n_embd=768, n_head=12, bias=True, tie_embeddings=True
    )
    assert parameter_count(GPT(config).parameter_specs) == 124_439_808


def test_initialization_follows_gpt2_and_its_seed() -> None:
    model = GPT(ModelConfig(vocab_size=500, n_layer=8, n_embd=64, n_head=4, activation="kan"))
    values = model.initial_parameters(3)
    assert values["wte"].std() == pytest.approx(0.02, rel=0.02)
    assert values["layer.0.attn.wqkv"].std() == pytest.approx(0.02, rel=0.03)
    assert values["layer.0.attn.wo"].std() == pytest.approx(0.02 / math.sqrt(16), rel=0.03)
    assert values["layer.7.mlp.fc2"].std() == pytest.approx(0.02 / math.sqrt(16), rel=0.03)
    assert (values["layer.3.ln1.weight"] == 1).all()
    assert (values["layer.3.ln1.bias"] == 0).all()
    assert (values["layer.3.mlp.act.c2"] == 0.5).all()
    np.testing.assert_array_equal(values["wte"], model.initial_parameters(3)["wte"])
    assert not np.array_equal(values["wte"], model.initial_parameters(4)["wte"])


def test_the_first_loss_is_that_of_a_uniform_guess() -> None:
    backend, model = CpuRef(), GPT(ModelConfig(vocab_size=97, block_size=16, n_layer=2, n_embd=32, n_head=4))
    parameters = {name: backend.upload(value) for name, value in model.initial_parameters(0).items()}
    tokens = np.random.default_rng(0).integers(0, 97, (4, 16)).astype(np.int32)
    losses = backend.download(model.losses(backend, parameters, backend.upload(tokens), backend.upload(tokens)))
    assert losses.mean() == pytest.approx(math.log(97), abs=0.05)


def test_gated_mlp_has_two_thirds_of_the_width_rounded_up_to_64() -> None:
    shapes = {spec.name: spec.shape for spec in GPT(ModelConfig(activation="swiglu", n_embd=384)).parameter_specs}
    assert shapes["layer.0.mlp.fc_gate"] == (1024, 384)
    assert shapes["layer.0.mlp.fc_proj"] == (384, 1024)
    assert "layer.0.mlp.fc1" not in shapes


def test_more_tokens_than_the_block_size_are_refused() -> None:
    with pytest.raises(ShapeError, match="7 tokens do not fit the block size of 6"):
        logits_of("plain", np.zeros((1, BLOCK + 1), np.int32))


def test_any_expression_is_an_activation() -> None:
    activation = Activation(X * coefficient("slope", 0.25), gated=True)
    model = GPT(ModelConfig(vocab_size=5, block_size=4, n_layer=1, n_embd=8, n_head=2), activation)
    names = {spec.name: spec for spec in model.parameter_specs}
    assert names["layer.0.mlp.act.slope"].mean == 0.25
    restored = Activation.from_json(activation.to_json())
    assert restored == activation


def test_an_unknown_activation_is_named_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="`gellu` is not built in") as caught:
        GPT(ModelConfig(activation="gellu"))
    assert caught.value.hint == "did you mean `gelu`?"


@pytest.mark.parametrize("data", [None, {}, {"gated": 1, "expression": ["x"]}, {"gated": True, "expression": ["y"]}])
def test_a_damaged_stored_activation_is_refused(data: object) -> None:
    with pytest.raises(OpError):
        Activation.from_json(data)
