"""Random damage to files: one line that says what is wrong, or what the file then holds; never anything else."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import AlphaError, DataError
from alpha_core.tokenizer import CHAT_SPECIALS
from alpha_tokenizers import BpeTokenizer, CharTokenizer
from alpha_train.data import Dataset, prepare, text_source
from alpha_train.data.record import pieces_of_record
from alpha_train.data.shard_export import export_shards
from alpha_train.data.source import open_source
from alpha_train.data.survey import pieces_of, survey
from alpha_train.data.token_store import TokenStore

TIMES = 200
CHAR = TokenizerInfo(name="char", summary="", load=lambda: CharTokenizer)
TEXTS = [f"document number {i}, with some text\n" for i in range(40)]


def damaged_versions(data: bytes, seed: int) -> Iterator[bytes]:
    """Yields `TIMES` random truncations and as many single flipped bits."""
    dice = random.Random(seed)
    for _ in range(TIMES):
        yield data[: dice.randrange(len(data))]
        changed = bytearray(data)
        changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        yield bytes(changed)


def outcome_of(load: Callable[[], Dataset]) -> Dataset | None:
    """Returns what was loaded, or None for an error, which must be one line."""
    try:
        return load()
    except AlphaError as error:
        check_message(error)
        return None


def check_message(error: AlphaError) -> None:
    assert error.message.isprintable(), error.message


def shards(folder: Path, kind: str) -> tuple[Dataset, Path]:
    dataset = prepare(text_source(TEXTS), CHAR)
    return dataset, export_shards(dataset, folder / "shards", kind)[0]


@pytest.mark.parametrize("kind", ["nanogpt", "llmc"])
def test_damage_to_a_shard_of_ours_is_always_noticed(tmp_path: Path, kind: str) -> None:
    dataset, path = shards(tmp_path, kind)
    for data in damaged_versions(path.read_bytes(), seed=1):
        path.write_bytes(data)
        with pytest.raises(DataError) as caught:
            prepare(str(path.parent), dataset.tokenizer)
        check_message(caught.value)


@pytest.mark.parametrize("name", ["shards.json", "tokenizer.json"])
def test_damage_beside_shards_is_noticed_or_harmless(tmp_path: Path, name: str) -> None:
    dataset, shard = shards(tmp_path, "nanogpt")
    path = shard.parent / name
    for data in damaged_versions(path.read_bytes(), seed=2):
        path.write_bytes(data)

        def load() -> Dataset:
            artifacts = json.loads((path.parent / "tokenizer.json").read_bytes())
            return prepare(str(path.parent), CharTokenizer.from_artifacts(artifacts))

        try:
            found = outcome_of(load)
        except ValueError:
            assert name == "tokenizer.json"  # whose reader is not tested here
            continue
        if found is not None:
            assert found.tokenizer.to_artifacts() == dataset.tokenizer.to_artifacts()
            np.testing.assert_array_equal(found.train.tokens[:], dataset.train.tokens[:])


@pytest.mark.parametrize("kind", ["nanogpt", "llmc"])
def test_a_damaged_shard_without_an_index_is_refused_or_read_as_it_is(tmp_path: Path, kind: str) -> None:
    dataset, path = shards(tmp_path, kind)
    (path.parent / "shards.json").unlink()
    header = 0 if kind == "nanogpt" else 1024
    original, loaded = path.read_bytes(), 0
    for data in damaged_versions(original, seed=3):
        path.write_bytes(data)
        found = outcome_of(lambda: prepare(str(path), dataset.tokenizer, validation_fraction=0.0))
        if found is None:
            continue
        loaded += 1
        assert data[:header] == original[:header]
        np.testing.assert_array_equal(found.train.tokens[:], np.frombuffer(data[header:], "<u2"))
        assert int(found.train.tokens[:].max()) < dataset.tokenizer.vocab_size
    assert 0 < loaded < 2 * TIMES


def lines(*records: object) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


FILES = {
    "text": lines(*({"id": i, "text": f"document {i}\nends with \u00e9"} for i in range(12))),
    "chat": lines(
        *(
            {"messages": [{"role": "user", "content": f"{i}?"}, {"role": "assistant", "content": "!"}]}
            for i in range(8)
        ),
        *({"user": f"is it {i}?", "assistant": f"it is {i}"} for i in range(8)),
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_damaged_json_lines_are_refused_or_read_as_they_are(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.jsonl"
    outcomes = []
    for data in damaged_versions(FILES[kind], seed=4):
        path.write_bytes(data)
        try:
            with open_source(str(path)) as source:
                found = [(piece.text, piece.counts) for piece in pieces_of(survey(source).texts)]
        except DataError as error:
            check_message(error)
            outcomes.append(False)
            continue
        records = [json.loads(line) for line in data.decode().split("\n") if line.strip()]
        assert found == [(piece.text, piece.counts) for record in records for piece in pieces_of_record(record)]
        outcomes.append(True)
    assert 0 < sum(outcomes) < len(outcomes)


def test_damaged_parquet_is_refused_or_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(pyarrow.table({"text": TEXTS}), path, write_page_checksum=True)
    for data in damaged_versions(path.read_bytes(), seed=6):
        path.write_bytes(data)
        try:
            with open_source(str(path)) as source:
                assert [piece.text for piece in pieces_of(survey(source).texts)] == TEXTS
        except DataError as error:
            check_message(error)


CHAT = TokenizerInfo(name="bpe-chat", summary="", load=lambda: BpeTokenizer, vocab_size=300, specials=CHAT_SPECIALS)


def test_damage_to_the_cache_is_always_noticed(tmp_path: Path, cache: Path) -> None:
    spec = tmp_path / "x.jsonl"
    spec.write_bytes(FILES["chat"])
    dataset = prepare(str(spec), CHAT)
    files = {path: path.read_bytes() for path in sorted(dataset.folder.iterdir())}
    assert {path.suffix for path in files} == {".json", ".tokens", ".starts", ".mask"}
    store = TokenStore.open(dataset.folder, dataset.tokenizer.vocab_size)
    assert store.identity == json.loads(files[dataset.folder / "metadata.json"])["identity"]
    versions = {path: damaged_versions(content, seed=5) for path, content in files.items()}
    for path in list(files) * (2 * TIMES // len(files)):
        path.write_bytes(next(versions[path]))
        with pytest.raises(DataError) as caught:
            TokenStore.open(dataset.folder, dataset.tokenizer.vocab_size)
        check_message(caught.value)
        path.write_bytes(files[path])
