"""Every parser of foreign bytes: 10,000 damaged files each are read or refused in a line, in bounded time and memory.

`ALPHA_FUZZ_ROUNDS=1000` makes a thousand times as many, which takes hours.
"""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from tests.checkpoint.test_checkpoint_file import make_checkpoint, original_header
from tests.fuzz.mutation import CASES, fuzz, mutated
from tests.interchange.conftest import LLAMA, TEXTS

from alpha_core import Plugins, load_plugins
from alpha_core.config import DomainConfig, ModelConfig, RunConfig, format_toml, load_config, to_dict
from alpha_core.errors import DataError
from alpha_interchange import (
    ImportedModel,
    read_alpha_safetensors,
    read_hf,
    write_alpha_safetensors,
    write_gguf,
    write_hf,
    write_run,
)
from alpha_interchange.gguf_file import open_gguf
from alpha_interchange.safetensors_file import open_safetensors
from alpha_model import GPT
from alpha_tokenizers import BpeTokenizer, CharTokenizer, hugging_face_json
from alpha_tokenizers.artifact_file import read_artifact_file
from alpha_tokenizers.hugging_face import read_hugging_face
from alpha_train.checkpoint import read_checkpoint, write_checkpoint
from alpha_train.data.cache import canonical_hash
from alpha_train.data.shard_file import NANOGPT, Shard, open_shard
from alpha_train.data.shard_index import ShardIndex
from alpha_train.stored_model import StoredModel, read_model

Parse = Callable[[bytes], Any]


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture
def stored(tmp_path: Path, plugins: Plugins) -> StoredModel:
    """A model as small as can be, with a char tokenizer."""
    tokenizer = CharTokenizer.train(["ab"])
    config = ModelConfig(vocab_size=tokenizer.vocab_size, block_size=2, n_layer=1, n_embd=2, n_head=1, ffn_width=2)
    model = GPT(config)
    values = {name: value.astype(np.float32) for name, value in model.initial_parameters(0).items()}
    imported = ImportedModel(model=model, parameters=values, tokenizer=tokenizer.to_artifacts())
    return read_model(write_run(tmp_path / "runs" / "small", imported), plugins)


def of_file(path: Path, read: Callable[[Path], Any]) -> Parse:
    """Returns a parser of bytes that puts them into a file first."""

    def parse(data: bytes) -> Any:
        path.write_bytes(data)
        return read(path)

    return parse


def test_safetensors(tmp_path: Path, stored: StoredModel) -> None:
    write_hf(tmp_path / "hf", stored)

    def read(path: Path) -> None:
        file = open_safetensors(path)
        for name in file.names:
            if file.entries[name].dtype in ("F64", "F32", "F16", "BF16"):
                assert file.read(name).shape == file.shape(name)

    fuzz(of_file(tmp_path / "x.safetensors", read), (tmp_path / "hf" / "model.safetensors").read_bytes())


def test_a_model_of_alpha_in_safetensors(tmp_path: Path, stored: StoredModel) -> None:
    path = tmp_path / "x.safetensors"
    write_alpha_safetensors(path, stored)
    fuzz(of_file(path, read_alpha_safetensors), path.read_bytes())


def test_gguf(tmp_path: Path, stored: StoredModel) -> None:
    path = tmp_path / "x.gguf"
    write_gguf(path, stored)

    def read(path: Path) -> None:
        file = open_gguf(path)
        for name, entry in file.entries.items():
            assert file.read(name).shape == entry.shape

    fuzz(of_file(path, read), path.read_bytes())


def test_checkpoints(tmp_path: Path) -> None:
    """With checksums, and without, as the first version of the format was: there damage reaches every check."""
    path = tmp_path / "x.alph"
    write_checkpoint(path, make_checkpoint())
    header = json.dumps(original_header()).encode()
    original = b"ALPH" + struct.pack("<I", len(header)) + header + bytes(32)

    def read(path: Path) -> None:
        read_checkpoint(path, tensors=False)
        read_checkpoint(path)

    fuzz(of_file(path, read), path.read_bytes(), original, original)


@pytest.mark.parametrize("format", ["nanogpt", "llmc"])
def test_shards(format: str, tmp_path: Path) -> None:
    tokens = (np.arange(300) % 10).astype("<u2")
    header = np.zeros(256, "<i4")
    header[:3] = 20240520, 1, len(tokens)
    data = tokens.tobytes() if format == "nanogpt" else header.tobytes() + tokens.tobytes()
    fuzz(of_file(tmp_path / "x.bin", lambda path: open_shard(path, 10)), data)


def test_the_index_of_shards(tmp_path: Path, plugins: Plugins) -> None:
    """Its checksum is made right again, so that damage reaches what is behind it."""
    content = {
        "formatVersion": 1,
        "shards": {"train.bin": {"tokens": 300, "crc32": 5}},
        "splits": {"train": {"textBytes": 10, "characters": None}, "validation": {"textBytes": 0, "characters": 0}},
        "tokenizer": "abc",
    }
    path = tmp_path / "shards.json"
    tokens = np.zeros(300, np.uint16)
    shard = Shard(NANOGPT, tokens, 5)

    def parse(data: bytes) -> None:
        try:
            changed = json.loads(data)
        except (ValueError, RecursionError):
            changed = None
        if isinstance(changed, dict):
            try:
                data = json.dumps({**changed, "checksum": canonical_hash(changed)}, ensure_ascii=True).encode()
            except ValueError:  # a number that JSON has not
                return
        path.write_bytes(data)
        index = ShardIndex.read(path)
        if "train.bin" in index.shards:
            index.check(Path("train.bin"), shard)

    fuzz(parse, json.dumps(content).encode())


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_configs(suffix: str, tmp_path: Path) -> None:
    config = RunConfig(domain="abc")
    text = format_toml(config, {}) if suffix == ".toml" else json.dumps(to_dict(config))

    def read(path: Path) -> None:
        load_config(domain_config=lambda name: DomainConfig(tokenizer="char"), file=path)

    fuzz(of_file(tmp_path / f"x{suffix}", read), text.encode())


def test_hugging_faces_tokenizers() -> None:
    artifacts = BpeTokenizer.train([*TEXTS, *TEXTS], vocab_size=262).to_artifacts()
    fuzz(read_hugging_face, json.dumps(hugging_face_json(artifacts)).encode())


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_tokenizers_of_alpha(kind: str, tmp_path: Path, plugins: Plugins) -> None:
    tokenizer = BpeTokenizer.train([*TEXTS, *TEXTS], vocab_size=262) if kind == "bpe" else CharTokenizer.train(TEXTS)

    def read(path: Path) -> None:
        plugins.load_tokenizer(read_artifact_file(path))

    fuzz(of_file(tmp_path / "tokenizer.json", read), json.dumps(tokenizer.to_artifacts()).encode())


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
def test_configs_of_transformers(model_type: str, tmp_path: Path, stored: StoredModel, plugins: Plugins) -> None:
    model = stored
    if model_type == "llama":
        config = attrs.evolve(stored.model.config, **LLAMA)
        other = GPT(config)
        values = {name: value.astype(np.float32) for name, value in other.initial_parameters(0).items()}
        imported = ImportedModel(model=other, parameters=values, tokenizer=stored.tokenizer.to_artifacts())
        model = read_model(write_run(tmp_path / "runs" / "llama", imported), plugins)
    folder, tokenizer = tmp_path / "hf", stored.tokenizer.to_artifacts()
    write_hf(folder, model)
    parse = of_file(folder / "config.json", lambda path: read_hf(folder, tokenizer))
    fuzz(parse, (folder / "config.json").read_bytes())


def test_a_recipe_changes_what_it_says() -> None:
    """The tests above damage what they mean to: every kind of change, anywhere in a file."""
    valid = b'{"number": 123, "list": [1, 2]}'
    changed = {
        mutated(valid, bytes([kind, 0, place, value, 3])) for kind in range(9) for place in (2, 9) for value in (3, 7)
    }
    assert len(changed) > 25
    assert b'{"number": 1099511627776, "list": [1, 2]}' in {mutated(valid, bytes([8, 0, 2, 8, 0]))}
    assert mutated(valid, b"") == valid
    assert CASES == 10_000


def test_fuzzing_fails_where_a_parser_does() -> None:
    def crash(data: bytes) -> None:
        if data[:1] != b"x":
            raise ValueError("not an error for a person")
        raise DataError("refused")

    with pytest.raises(ValueError, match="not an error"):
        fuzz(lambda data: None if data == b"valid" else crash(data), b"valid", shrink=False)

    def hungry(data: bytes) -> None:
        if data != b"valid":
            np.ones(1 << 27)  # a gibibyte
            raise DataError("refused")

    with pytest.raises(MemoryError):
        fuzz(hungry, b"valid", shrink=False)

    def endless(data: bytes) -> None:
        while data != b"valid":
            pass

    with pytest.raises(TimeoutError, match="processor time"):
        fuzz(endless, b"valid", shrink=False)
