"""GGUF files: read back with the package `gguf`, and by our own checked reader."""

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from tests.interchange.conftest import EXPORTABLE, LLAMA, TEXTS, Make

from alpha_core.errors import CheckpointError, NotInstalledError, UsageError
from alpha_interchange import gguf_export, write_gguf
from alpha_interchange.gguf_file import open_gguf
from alpha_tokenizers import BpeTokenizer, CharTokenizer

WRITABLE = {name: options for name, options in EXPORTABLE.items() if options.get("activation") not in ("relu2", "silu")}


def field(reader: gguf.GGUFReader, name: str) -> Any:
    found = reader.get_field(name)
    assert found is not None, name
    return found.contents()


@pytest.mark.parametrize("name", WRITABLE)
def test_the_package_gguf_reads_what_was_meant(name: str, make: Make, tmp_path: Path) -> None:
    stored = make(**WRITABLE[name])
    path = tmp_path / "model.gguf"
    assert write_gguf(path, stored) == []
    reader = gguf.GGUFReader(path)
    config, values = stored.model.config, stored.checkpoint.parameters
    architecture = field(reader, "general.architecture")
    assert architecture == ("llama" if name.startswith("llama") else "gpt2")
    for key, value in {
        "vocab_size": config.vocab_size,
        "context_length": 16,
        "embedding_length": 16,
        "block_count": 2,
        "feed_forward_length": config.resolved_ffn_width(gated=stored.model.activation.gated),
        "attention.head_count": 2,
    }.items():
        assert field(reader, f"{architecture}.{key}") == value, key
    tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    np.testing.assert_array_equal(tensors["token_embd.weight"], values["wte"])
    np.testing.assert_array_equal(tensors["blk.1.ffn_down.weight"], values[f"layer.1.mlp.{last_of(architecture)}"])
    assert ("output.weight" in tensors) is not config.tie_embeddings
    if architecture == "gpt2":
        np.testing.assert_array_equal(tensors["blk.0.attn_qkv.weight"], values["layer.0.attn.wqkv"])
        assert field(reader, "gpt2.attention.layer_norm_epsilon") == pytest.approx(config.norm_eps)
        assert tensors["blk.0.ffn_up.bias"].shape == (config.resolved_ffn_width(gated=False),)
    else:
        query = values["layer.0.attn.wqkv"][:16].reshape(2, 2, 4, 16)  # heads, halves, pairs
        np.testing.assert_array_equal(tensors["blk.0.attn_q.weight"].reshape(2, 4, 2, 16), query.swapaxes(1, 2))
        np.testing.assert_array_equal(tensors["blk.0.attn_v.weight"], values["layer.0.attn.wqkv"][32:])
        assert field(reader, "llama.rope.freq_base") == pytest.approx(config.rope_base)
        assert field(reader, "llama.attention.layer_norm_rms_epsilon") == pytest.approx(config.norm_eps)
        assert ("blk.0.attn_q.bias" in tensors) is config.bias


def last_of(architecture: str) -> str:
    return "fc_proj" if architecture == "llama" else "fc2"


def test_the_tokenizer_is_in_the_file(make: Make, tmp_path: Path) -> None:
    stored = make()
    write_gguf(tmp_path / "model.gguf", stored)
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    artifacts = stored.tokenizer.to_artifacts()
    assert field(reader, "tokenizer.ggml.model") == "gpt2"
    assert field(reader, "tokenizer.ggml.pre") == "gpt-2"
    assert field(reader, "tokenizer.ggml.tokens") == artifacts["vocab"]
    assert field(reader, "tokenizer.ggml.merges") == artifacts["merges"]
    end = stored.tokenizer.end_of_text
    assert field(reader, "tokenizer.ggml.eos_token_id") == end
    kinds = field(reader, "tokenizer.ggml.token_type")
    assert {i for i, kind in enumerate(kinds) if kind == gguf.TokenType.CONTROL} == {end}


def test_a_tokenizer_that_llama_cpp_has_not_is_left_out_with_a_note(make: Make, tmp_path: Path) -> None:
    (note,) = write_gguf(tmp_path / "model.gguf", make(CharTokenizer.train(["hello"])))
    assert note == "without a tokenizer: llama.cpp has none of type `char`, and takes token ids"
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    assert field(reader, "tokenizer.ggml.model") == "no_vocab"
    assert reader.get_field("tokenizer.ggml.tokens") is None


def test_unused_ids_and_other_splits_keep_their_places(make: Make, tmp_path: Path) -> None:
    artifacts = BpeTokenizer.train(TEXTS, vocab_size=260).to_artifacts()
    artifacts |= {"split": "cl100k", "wholeWords": True, "vocabSize": 264}
    artifacts["vocab"] = [*artifacts["vocab"], *[None] * (264 - len(artifacts["vocab"]))]
    (note,) = write_gguf(tmp_path / "model.gguf", make(BpeTokenizer.from_artifacts(artifacts)))
    assert "nearly but not quite `cl100k`" in note
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    assert field(reader, "tokenizer.ggml.pre") == "llama-bpe"
    assert field(reader, "tokenizer.ggml.tokens")[-1] == "<|unused_263|>"
    assert field(reader, "tokenizer.ggml.token_type")[-1] == gguf.TokenType.UNUSED


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"activation": "relu2"}, "llama.cpp computes `gpt2` with `gelu` only"),
        ({"norm": "rms"}, "of no architecture that can be written"),
    ],
)
def test_a_model_that_llama_cpp_has_not_is_refused(options: Any, reason: str, make: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        write_gguf(tmp_path / "model.gguf", make(**options))
    assert not list(tmp_path.glob("*.gguf*"))


def test_without_the_package_the_message_says_what_to_install(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_export, "find_spec", lambda name: None)
    with pytest.raises(NotInstalledError) as caught:
        write_gguf(tmp_path / "model.gguf", make())
    assert caught.value.hint == "pip install 'alpha-interchange[gguf]'"


def test_a_file_that_does_not_read_back_takes_no_name(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong between the numbers and the disk is found before the file is there."""
    honest = gguf.GGUFWriter.add_tensor

    def damage(self: Any, name: str, array: Any, *arguments: Any) -> None:
        honest(self, name, array + (name == "blk.1.ffn_up.weight"), *arguments)

    monkeypatch.setattr(gguf.GGUFWriter, "add_tensor", damage)
    with pytest.raises(CheckpointError, match="does not read back as it was written"):
        write_gguf(tmp_path / "model.gguf", make())
    assert not [path for path in tmp_path.iterdir() if "gguf" in path.name]


def test_our_reader_agrees_with_the_package(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(path, make(**LLAMA))
    ours, theirs = open_gguf(path), gguf.GGUFReader(path)
    assert ours.entries.keys() == {tensor.name for tensor in theirs.tensors}
    for tensor in theirs.tensors:
        np.testing.assert_array_equal(ours.read(tensor.name), np.array(tensor.data))
    for name, value in ours.metadata.items():
        assert field(theirs, name) == value


def test_sixteen_bit_numbers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    values = np.array([[1.0, -2.5], [0.0, 65504.0]], np.float32)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_tensor("half", values.astype(np.float16))
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    writer.add_tensor("brain", upper, raw_dtype=gguf.GGMLQuantizationType.BF16)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    file = open_gguf(path)
    np.testing.assert_array_equal(file.read("half"), values)
    np.testing.assert_allclose(file.read("brain").reshape(2, 2), values, rtol=1 / 128)


def gguf_bytes(version: int = 3, tensors: int = 0, metadata: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, metadata) + rest


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it ends too early"),
        (b"GGML", "does not begin with `GGUF`"),
        (gguf_bytes(version=2), "of version 2, and only 3"),
        (gguf_bytes(metadata=2**60), "should hold 1152921504606846976 of something"),
        (gguf_bytes(tensors=2**60), "should hold"),
        (gguf_bytes(metadata=1, rest=struct.pack("<Q", 2**62) + b"x" * 40), "ends too early"),
        (gguf_bytes(metadata=1, rest=text("a") + struct.pack("<IIQ", 9, 4, 2**61) + b"x" * 9), "should hold"),
        (gguf_bytes(metadata=1, rest=text("a") + struct.pack("<IIQ", 9, 9, 1) + b"x" * 9), "a list of type 9"),
        (gguf_bytes(metadata=1, rest=text("a") + struct.pack("<I", 77) + b"x" * 9), "a value of type 77"),
        (gguf_bytes(metadata=1, rest=struct.pack("<Q", 1) + b"\xff" + b"x" * 9), "not UTF-8"),
        (gguf_bytes(metadata=2, rest=(text("abcdef") + struct.pack("<IB", 0, 1)) * 2), "it has `abcdef` twice"),
        (gguf_bytes(tensors=1, rest=text("w") + struct.pack("<I", 9) + b"x" * 40), "has 9 dimensions"),
        (gguf_bytes(tensors=1, rest=text("w") + struct.pack("<IQIQ", 1, 8, 2, 0) + b"x" * 40), "of type 2"),
        (gguf_bytes(tensors=1, rest=text("w") + struct.pack("<IQIQ", 1, 2**60, 0, 0) + b"x" * 40), "too large"),
        (gguf_bytes(tensors=1, rest=text("w") + struct.pack("<IQIQ", 1, 800, 0, 0) + b"x" * 40), "bytes instead of"),
        (
            gguf_bytes(tensors=1, rest=text("w") + struct.pack("<IQIQ", 1, 1, 0, 7) + b"x" * 40),
            "where it cannot",
        ),
    ],
)
def test_damage_is_refused_with_the_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=reason) as caught:
        open_gguf(path)
    assert "\n" not in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no file"):
        open_gguf(tmp_path / "none.gguf")
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_gguf(tmp_path)
