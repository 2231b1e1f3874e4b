"""Models of `transformers`: read with the logits and ids that it computes, and written as it writes them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.interchange.conftest import DATA, EXPORTABLE, LLAMA, MODELS, Make, logits_of

from alpha_core import Plugins
from alpha_core.errors import CheckpointError, UsageError
from alpha_interchange import read_hf, write_hf, write_run
from alpha_interchange.safetensors_file import open_safetensors
from alpha_tokenizers import CharTokenizer, import_tokenizer
from alpha_train import RunFolder, load_run
from alpha_train.stored_model import read_model


@pytest.mark.parametrize("name", MODELS)
def test_an_import_computes_the_logits_and_ids_of_transformers(name: str, plugins: Plugins) -> None:
    reference = np.load(DATA / name / "reference.npz")
    imported = read_hf(DATA / name)
    ours = logits_of(imported.model, imported.parameters, reference["tokens"])
    np.testing.assert_allclose(ours, reference["logits"], atol=1e-4)
    assert np.abs(reference["logits"]).max() > 1
    tokenizer = plugins.load_tokenizer(imported.tokenizer)
    for place, text in enumerate(json.loads((DATA / name / "texts.json").read_text())):
        assert tokenizer.encode(text) == reference[f"ids{place}"].tolist()


@pytest.mark.parametrize("name", MODELS)
def test_an_import_written_again_is_the_file_of_transformers(name: str, tmp_path: Path, plugins: Plugins) -> None:
    """The same tensors, bit for bit, under the same names; the same settings; the same vocabulary."""
    run = write_run(tmp_path / "run", read_hf(DATA / name))
    assert write_hf(tmp_path / "out", read_model(run, plugins)) == []
    theirs, ours = (open_safetensors(folder / "model.safetensors") for folder in (DATA / name, tmp_path / "out"))
    config, before = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "out", DATA / name))
    if name == "llama_options":  # heads that share keys and values, and biases that only attention has, are spelled out
        assert {*theirs.names} < {*ours.names}
        assert config["num_key_value_heads"] == 4
    else:
        assert sorted(ours.names) == sorted(theirs.names)
        for tensor in theirs.names:
            assert ours.read(tensor).tobytes() == theirs.read(tensor).tobytes(), tensor
        for key in config.keys() & before.keys() - {"dtype", "n_inner", "bos_token_id", "eos_token_id"}:
            is_number = isinstance(before[key], float)
            assert config[key] == (pytest.approx(before[key]) if is_number else before[key]), key
    vocabularies = [
        import_tokenizer(folder).tokenizer.to_artifacts()["vocab"] for folder in (tmp_path / "out", DATA / name)
    ]
    assert vocabularies[0][:280] == vocabularies[1]
    again = read_hf(tmp_path / "out")
    tokens = np.load(DATA / name / "reference.npz")["tokens"]
    expected = logits_of(read_hf(DATA / name).model, read_hf(DATA / name).parameters, tokens)
    np.testing.assert_array_equal(logits_of(again.model, again.parameters, tokens), expected)


@pytest.mark.parametrize("name", EXPORTABLE)
def test_a_model_of_alpha_comes_back_the_same(name: str, make: Make, tmp_path: Path) -> None:
    stored = make(**EXPORTABLE[name])
    assert write_hf(tmp_path / "out", stored) == []
    again = read_hf(tmp_path / "out")
    tokens = np.random.default_rng(1).integers(0, stored.model.config.vocab_size, (2, 16))
    expected = logits_of(stored.model, stored.checkpoint.parameters, tokens)
    np.testing.assert_array_equal(logits_of(again.model, again.parameters, tokens), expected)
    assert again.tokenizer == stored.tokenizer.to_artifacts()
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {
        *("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    }


def test_the_files_beside_the_weights_say_how_a_text_ends(make: Make, tmp_path: Path) -> None:
    stored = make()
    write_hf(tmp_path / "out", stored)
    end = stored.tokenizer.end_of_text
    for name in ("config.json", "generation_config.json"):
        content = json.loads((tmp_path / "out" / name).read_text())
        assert (content["eos_token_id"], content["bos_token_id"]) == (end, end)
    assert content["do_sample"] is True
    assert (content["temperature"], content["top_k"], content["max_new_tokens"]) == (0.8, 40, 200)
    told = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert (told["eos_token"], told["model_max_length"]) == ("<|end_of_text|>", 16)


def test_a_char_model_takes_its_tokenizer_along(make: Make, tmp_path: Path) -> None:
    stored = make(CharTokenizer.train(["hello"]))
    assert write_hf(tmp_path / "out", stored) == []
    model = json.loads((tmp_path / "out" / "tokenizer.json").read_text())["model"]
    assert model["vocab"] == {token: i for i, token in enumerate(stored.tokenizer.to_artifacts()["vocab"])}
    with pytest.raises(CheckpointError, match="the tokenizer cannot be imported") as caught:
        read_hf(tmp_path / "out")
    assert "--tokenizer" in str(caught.value.hint)
    assert read_hf(tmp_path / "out", stored.tokenizer.to_artifacts()).tokenizer == stored.tokenizer.to_artifacts()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"norm": "rms"}, "`gpt2` has no place for `norm` = `rms`; `llama` has no place for `position` = `learned`"),
        ({"position": "rotary"}, "`position` = `rotary`"),
        ({"qk_norm": True}, "`gpt2` has no place for `qk_norm` = `True`"),
        ({**LLAMA, "soft_cap": 2.0}, "`llama` has no place for `soft_cap` = `2.0`"),
        ({"activation": "kan"}, "`gpt2` has no place for `activation` = `kan`"),
        ({**LLAMA, "activation": "gelu"}, "`llama` has no place for `activation` = `gelu`"),
    ],
)
def test_what_has_no_counterpart_is_named(options: Any, named: str, make: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write_hf(tmp_path / "out", make(**options))
    assert named in caught.value.message
    assert not (tmp_path / "out").exists()


def changed_copy(tmp_path: Path, name: str, **settings: Any) -> Path:
    folder = tmp_path / "changed"
    shutil.copytree(DATA / name, folder)
    config = json.loads((folder / "config.json").read_text())
    config = {key: value for key, value in {**config, **settings}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("gpt2", {"activation_function": "gelu"}, "`activation_function` = `gelu` has no counterpart"),
        ("gpt2", {"scale_attn_weights": False}, "`scale_attn_weights` = `False` has no counterpart"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "`scale_attn_by_inverse_layer_idx` = `True`"),
        ("gpt2", {"add_cross_attention": True}, "`add_cross_attention` = `True`"),
        ("gpt2", {"model_type": "bert"}, "`model_type` `bert` cannot be imported; `gpt2`, `llama` can"),
        ("gpt2", {"model_type": ...}, "lacks `model_type`"),
        ("gpt2", {"n_layer": 3}, "what is parameter `layer.2.ln1.weight` of Alpha"),
        ("gpt2", {"n_layer": 1}, "has a tensor `transformer.h.1.attn.c_attn.bias`, which has no counterpart"),
        ("gpt2", {"n_layer": 10**12}, "speaks of 1000000000000 layers"),
        ("gpt2", {"n_embd": 10**9}, "with shape [280, 1000000000], has shape [280, 16]"),
        ("gpt2", {"n_layer": "2"}, "`n_layer` = `2`: expected a positive integer"),
        ("gpt2", {"n_head": 3}, "must be a multiple of"),
        ("gpt2", {"vocab_size": 270}, "with shape [270, 16], has shape [280, 16]"),
        ("llama", {"hidden_act": "gelu"}, "`hidden_act` = `gelu`"),
        ("llama", {"head_dim": 8}, "`head_dim` = `8`"),
        ("llama", {"num_key_value_heads": 3}, "`num_key_value_heads` = `3`"),
        ("llama", {"rope_parameters": {"rope_type": "llama3"}}, "`rope_type` = `llama3`"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "`type` = `linear`"),
        ("llama", {"rope_parameters": 3}, "expected an object"),
        ("llama", {"attention_bias": "yes"}, "expected `true` or `false`"),
        ("llama", {"tie_word_embeddings": 1}, "expected `true` or `false`"),
        ("llama", {"rms_norm_eps": None, "rope_theta": "x", "rope_parameters": None}, "`rope_theta` = `x`"),
        ("llama", {"mlp_bias": True}, "what is parameter `layer.0.attn.wo.bias`"),
    ],
)
def test_a_config_that_alpha_cannot_compute_is_refused_by_name(
    name: str, settings: Any, named: str, tmp_path: Path
) -> None:
    from alpha_core.errors import AlphaError

    with pytest.raises(AlphaError) as caught:
        read_hf(changed_copy(tmp_path, name, **settings))
    if "mlp_bias" in settings:
        assert "bias` of Alpha" in caught.value.message
    else:
        assert named in caught.value.message


def test_older_settings_of_rotations_are_read(tmp_path: Path) -> None:
    old = changed_copy(tmp_path, "llama", rope_parameters=..., rope_theta=123.0)
    assert read_hf(old).model.config.rope_base == 123.0


def test_a_folder_without_usable_weights_says_so(tmp_path: Path) -> None:
    folder = changed_copy(tmp_path, "gpt2")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"has no `model.safetensors`"):
        read_hf(folder)
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match="is a pickle, which is code and never read"):
        read_hf(folder)
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_hf(tmp_path / "nowhere")


def test_weights_in_several_files_are_found_by_their_index(tmp_path: Path) -> None:
    folder = changed_copy(tmp_path, "gpt2")
    whole = open_safetensors(folder / "model.safetensors")
    from alpha_interchange.safetensors_file import write_safetensors

    halves = {"a.safetensors": whole.names[::2], "b.safetensors": whole.names[1::2]}
    for file, names in halves.items():
        write_safetensors(folder / file, {name: whole.read(name) for name in names}, {})
    index = {"weight_map": {name: file for file, names in halves.items() for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    expected = read_hf(DATA / "gpt2").parameters
    (folder / "model.safetensors").unlink()
    for name, value in read_hf(folder).parameters.items():
        assert value.tobytes() == expected[name].tobytes()
    for weight_map in ({"x": "../a.safetensors"}, {"x": "/etc/a.safetensors"}, {"x": 3}, ["x"], None):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(CheckpointError, match="does not map tensors to files beside it"):
            read_hf(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "a.safetensors"}}))
    with pytest.raises(CheckpointError, match="lacks tensor `x`"):
        read_hf(folder)


def test_a_larger_table_than_the_tokenizer_gets_ids_that_no_text_makes(tmp_path: Path, plugins: Plugins) -> None:
    imported = read_hf(DATA / "gpt2_options")
    assert imported.model.config.vocab_size == 288
    assert imported.tokenizer["vocab"][280:] == [None] * 8
    run = write_run(tmp_path / "runs" / "one", imported)
    assert isinstance(run, RunFolder)
    loaded = load_run(run, plugins, backend="cpu_ref")
    assert loaded.tokenizer.vocab_size == 288
    with pytest.raises(CheckpointError, match="they do not belong together"):
        read_hf(DATA / "gpt2_options", CharTokenizer.train(["abc"]).to_artifacts())
