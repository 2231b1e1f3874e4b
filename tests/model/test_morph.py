"""Models made from others: what is copied, what is new, and that a grown one computes what its parent does."""

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest
from tests.model.options import BLOCK, OPTIONS, VOCABULARY, make_model, make_parameters

from alpha_autograd import Tape
from alpha_core.dtype import DType
from alpha_core.errors import UsageError
from alpha_model import GPT
from alpha_model.morph import RestoreReport, child_config, restore
from alpha_model.morph.axes import axes_of
from alpha_tensor import CpuRef

TOKENS = np.random.default_rng(3).integers(0, VOCABULARY, (3, BLOCK)).astype(np.int32)

GROWTHS: dict[str, dict[str, object]] = {
    "nothing": {},
    "deeper": {"n_layer": 4},
    "wider MLP": {"ffn_width": 70},
    "longer": {"block_size": 2 * BLOCK},
    "more heads": {"n_embd": 12, "n_head": 3},
    "wider heads": {"n_embd": 12, "n_head": 2},
    "odd widening": {"n_embd": 30, "n_head": 5, "n_layer": 3},
    "everything": {"n_embd": 24, "n_head": 4, "n_layer": 3, "ffn_width": 100, "block_size": BLOCK + 3, "bias": True},
}


def child_of(mode: str, parent: GPT, **changes: object) -> GPT:
    config = attrs.evolve(parent.config, **changes)  # type: ignore[arg-type]
    return GPT(child_config(mode, parent.config, config), parent.activation)


def logits(model: GPT, values: Any, dtype: DType = DType.f64, tokens: npt.NDArray[Any] = TOKENS) -> npt.NDArray[Any]:
    backend = CpuRef()
    parameters = {name: backend.upload(np.asarray(value), dtype) for name, value in values.items()}
    return backend.download(model.logits(backend, parameters, backend.upload(tokens)))


def widens_heads(growth: str) -> bool:
    sizes = GROWTHS[growth]
    return int(sizes.get("n_embd", 8)) // int(sizes.get("n_head", 2)) > 4  # type: ignore[call-overload]


CASES = [
    (option, growth)
    for option in OPTIONS
    for growth in GROWTHS
    if not (OPTIONS[option].get("qk_norm") and widens_heads(growth))
]


@pytest.mark.parametrize(("option", "growth"), CASES)
def test_a_grown_model_computes_what_its_parent_does(option: str, growth: str) -> None:
    parent = make_model(**OPTIONS[option])
    values = make_parameters(parent)
    child = child_of("grow", parent, **GROWTHS[growth])
    grown = restore("grow", parent, values, child, seed=5).parameters
    assert {name: value.shape for name, value in grown.items()} == {s.name: s.shape for s in child.parameter_specs}
    np.testing.assert_allclose(logits(child, grown), logits(parent, values), atol=1e-10)
    in_f32 = logits(parent, values, DType.f32)
    np.testing.assert_allclose(logits(child, grown, DType.f32), in_f32, atol=1e-5)
    assert np.abs(in_f32).max() > 0.5


@pytest.mark.parametrize("option", ["plain", "tied", "modern", "everything"])
def test_a_tied_parent_can_grow_a_head_of_its_own_and_biases(option: str) -> None:
    parent = make_model(**{**OPTIONS[option], "tie_embeddings": True, "bias": False})
    values = make_parameters(parent)
    child = child_of("grow", parent, tie_embeddings=False, bias=True, n_embd=16, n_head=4)
    grown = restore("grow", parent, values, child, seed=5)
    np.testing.assert_allclose(logits(child, grown.parameters), logits(parent, values), atol=1e-10)
    assert "lmHead" in grown.report.projected


@pytest.mark.parametrize("option", ["plain", "modern", "everything"])
def test_every_new_part_of_a_grown_model_learns(option: str) -> None:
    """After two steps of gradient descent nothing that was added is where it started, nor the same as another."""
    parent = make_model(**OPTIONS[option])
    child = child_of("grow", parent, n_embd=16, n_head=4, n_layer=3, ffn_width=80)
    values = {name: np.array(v) for name, v in grown_of(parent, child).items()}
    start = {name: value.copy() for name, value in values.items()}
    for _ in range(3):
        for name, gradient in gradients(child, values).items():
            values[name] -= 0.1 * gradient
    width = parent.config.n_embd
    for name, value in values.items():
        moved = np.abs(value - start[name]).reshape(value.shape[0], -1).max(axis=1)
        if axes_of(name)[0] not in ("vocabulary", "position") and ".act." not in name:
            assert (moved > 0).all() or name.endswith("wqkv.bias"), name
        if "width" in axes_of(name)[1:]:
            assert (np.abs(value - start[name])[:, width:].max(axis=0) > 0).all(), name


def grown_of(parent: GPT, child: GPT) -> dict[str, npt.NDArray[Any]]:
    return dict(restore("grow", parent, make_parameters(parent), child, seed=5).parameters)


def gradients(model: GPT, values: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    backend = CpuRef()
    parameters = {name: backend.upload(value, DType.f64) for name, value in values.items()}
    tape = Tape(backend)
    tape.watch(*parameters.values())
    targets = backend.upload(np.roll(TOKENS, -1, axis=1))
    losses = model.losses(tape, parameters, backend.upload(TOKENS), targets)
    sums = {name: backend.zeros(value.shape, DType.f64) for name, value in values.items()}
    tape.accumulate(losses, {parameters[name]: total for name, total in sums.items()})
    return {name: backend.download(total) / TOKENS.size for name, total in sums.items()}


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({}, {"n_layer": 1}, "n_layer would shrink from 2 to 1"),
        ({}, {"n_embd": 12, "n_head": 1}, "n_head would shrink from 2 to 1"),
        ({}, {"n_embd": 12, "n_head": 4}, "the width of a head would shrink from 4 to 3"),
        ({}, {"ffn_width": 16}, "the width inside the MLP would shrink from 32 to 16"),
        ({}, {"block_size": 5}, "block_size would shrink from 6 to 5"),
        ({}, {"norm": "rms"}, "`norm` is layer in the parent and would be rms"),
        ({}, {"position": "rotary"}, "`position` is learned"),
        ({}, {"soft_cap": 3.0}, "`soft_cap` is 0.0"),
        ({}, {"qk_norm": True}, "`qk_norm` is False"),
        ({"bias": True}, {"bias": False}, "has biases"),
        ({}, {"tie_embeddings": True}, "has a head of its own"),
        ({"qk_norm": True}, {"n_embd": 16}, "could never learn"),
        ({}, {"norm_eps": 1e-3}, "`norm_eps` would have to be 1e-05, and is set to 0.001"),
        ({"position": "rotary"}, {"n_embd": 16, "rope_base": 5.0}, "`rope_base` would have to be 100000000.0"),
        ({}, {"vocab_size": VOCABULARY + 1}, "the tokenizer is another one"),
    ],
)
def test_growing_is_refused_with_the_reason(before: Any, after: Any, reason: str) -> None:
    parent = make_model(**before)
    child = child_of("grow", parent, **after)
    with pytest.raises(UsageError, match=reason) as caught:
        restore("grow", parent, make_parameters(parent), child, seed=0)
    assert caught.value.hint == "`--restore=project` takes over what overlaps"


def test_another_activation_is_another_function() -> None:
    parent, child = make_model(), make_model(activation="silu")
    for mode in ("exact", "prefix", "grow"):
        with pytest.raises(UsageError, match="the activation is `gelu` in the parent and would be another, `silu`"):
            restore(mode, parent, make_parameters(parent), child, seed=0)


@pytest.mark.parametrize("option", OPTIONS)
def test_exact_takes_every_parameter_as_it_is(option: str) -> None:
    parent = make_model(**OPTIONS[option])
    values = make_parameters(parent)
    restored = restore("exact", parent, values, make_model(**{**OPTIONS[option], "dropout": 0.5}), seed=0)
    assert restored.parameters == values
    assert restored.report == RestoreReport(
        restore="exact", copied=tuple(s.name for s in parent.parameter_specs), projected={}, initialized=()
    )


@pytest.mark.parametrize("layers", [1, 3])
def test_prefix_takes_the_first_layers_and_all_that_is_no_layer(layers: int) -> None:
    parent, child = make_model(), make_model(n_layer=layers)
    values = make_parameters(parent)
    restored = restore("prefix", parent, values, child, seed=9)
    initial = child.initial_parameters(9)
    for name, value in restored.parameters.items():
        expected = values[name] if name in values else initial[name]
        np.testing.assert_array_equal(value, expected)
    assert set(restored.report.initialized) == initial.keys() - values.keys()
    assert set(restored.report.left_out) == values.keys() - initial.keys()
    assert not restored.report.projected


@pytest.mark.parametrize("changes", [{"n_embd": 16}, {"ffn_width": 8}, {"norm": "rms"}, {"bias": True}])
@pytest.mark.parametrize("mode", ["exact", "prefix"])
def test_exact_and_prefix_want_the_same_shapes_and_formula(mode: str, changes: Any) -> None:
    parent = make_model()
    with pytest.raises(UsageError, match=f"--restore={mode}` does not fit: `{next(iter(changes))}` is "):
        restore(mode, parent, make_parameters(parent), make_model(**changes), seed=0)


def test_an_explicit_width_that_is_the_default_is_no_other_model() -> None:
    parent = make_model()
    assert restore("exact", parent, make_parameters(parent), make_model(ffn_width=32), seed=0).report.copied


@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_project_takes_over_what_overlaps_head_by_head(position: str) -> None:
    parent = make_model(position=position, bias=True)  # two heads of width 4
    child = make_model(position=position, bias=True, n_embd=18, n_head=3, block_size=4, n_layer=1)  # three of width 6
    values = make_parameters(parent)
    restored = restore("project", parent, values, child, seed=1)
    initial = child.initial_parameters(1)
    places = [0, 1, 3, 4] if position == "rotary" else [0, 1, 2, 3]  # halves of a head turn together
    old = values["layer.0.attn.wqkv"].reshape(3, 2, 4, 8)
    new = restored.parameters["layer.0.attn.wqkv"].reshape(3, 3, 6, 18)
    expected = initial["layer.0.attn.wqkv"].reshape(3, 3, 6, 18).copy()
    for part in range(3):
        for head in range(2):
            for there, here in enumerate(places):
                expected[part, head, here, :8] = old[part, head, there]
    np.testing.assert_array_equal(new, expected)
    wo = restored.parameters["layer.0.attn.wo"].reshape(18, 3, 6)
    np.testing.assert_array_equal(wo[:8, 1, places], values["layer.0.attn.wo"].reshape(8, 2, 4)[:, 1])
    np.testing.assert_array_equal(wo[:, 2], initial["layer.0.attn.wo"].reshape(18, 3, 6)[:, 2])
    assert restored.report.projected["layer.0.attn.wqkv"] == 8 / 18 * 8 / 18
    assert all(name.startswith("layer.1.") for name in restored.report.left_out)
    if position == "learned":
        np.testing.assert_array_equal(restored.parameters["wpe"][:, :8], values["wpe"][:4])


def test_project_follows_tokens_to_their_new_ids() -> None:
    parent, child = make_model(tie_embeddings=True), make_model(vocab_size=5)
    values = make_parameters(parent)
    rows = np.array([2, 7]), np.array([4, 0])
    restored = restore("project", parent, values, child, seed=0, rows=rows)
    for name in ("wte", "lmHead"):
        np.testing.assert_array_equal(restored.parameters[name][[4, 0]], values["wte"][[2, 7]])
        np.testing.assert_array_equal(restored.parameters[name][1:4], child.initial_parameters(0)[name][1:4])
        assert restored.report.projected[name] == 2 / 5
    nothing = np.array([], np.int64)
    with pytest.raises(UsageError, match="no token in common"):
        restore("project", parent, values, child, seed=0, rows=(nothing, nothing))


def test_project_changes_options_and_says_what_is_left_out() -> None:
    parent = make_model(bias=True)
    child = make_model(norm="rms", position="rotary", activation="swiglu", tie_embeddings=True)
    report = restore("project", parent, make_parameters(parent), child, seed=0).report
    assert {"wpe", "lmHead", "lnF.bias", "layer.0.mlp.fc1", "layer.1.attn.wo.bias"} <= set(report.left_out)
    assert {"layer.0.mlp.fc_gate", "layer.1.mlp.fc_proj"} <= set(report.initialized)
    assert {"wte", "lnF.weight", "layer.0.attn.wqkv"} <= set(report.copied)


def test_the_report_counts_and_names() -> None:
    parent = make_model()
    child = child_of("grow", parent, n_embd=16, n_head=4, n_layer=3)
    report = restore("grow", parent, make_parameters(parent), child, seed=0).report
    lines = list(report.lines())
    assert lines[0] == "parameters: 0 copied, 21 projected, 8 initialized"
    assert lines[1].startswith("projected: `wte` (50% the parent's), `wpe` (50% the parent's), ")
    assert lines[1].endswith(" and 15 more")
    assert lines[2].startswith("initialized: `layer.2.ln1.weight`, ")
    assert lines[3] == "`norm_eps` is 5e-06, so that the child computes what its parent does"
    assert report.to_json()["settings"] == {"norm_eps": 5e-6}


def test_an_unknown_mode_brings_a_suggestion() -> None:
    config = make_model().config
    with pytest.raises(UsageError, match="no way to restore called `projekt`") as caught:
        child_config("projekt", config, config)
    assert caught.value.hint == "did you mean `project`?"
