"""Datasets: tokens on disk, found again, rebuilt when damaged, and safe to make in several processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import DataError, TokenizerError
from alpha_core.tokenizer import END_OF_TEXT, Tokenizer
from alpha_tokenizers import CharTokenizer
from alpha_train.data import Dataset, open_dataset, prepare, text_source

CHAR = TokenizerInfo(name="char", summary="", load=lambda: CharTokenizer, specials=(END_OF_TEXT,))
TEXTS = [f"text number {i}, of some length\n" for i in range(10)]


class AsciiTokenizer(Tokenizer):
    """A token for each character; remembers what it was asked to encode."""

    type = "ascii"
    vocab_size = 129
    specials: dict[str, int] = {END_OF_TEXT: 128}  # noqa: RUF012

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self.encoded: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.encoded.append(text)
        return [(ord(character) + self.offset) % 128 for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr((i - self.offset) % 128) for i in ids)

    def to_artifacts(self) -> dict[str, Any]:
        return {"type": self.type, "offset": self.offset}

    @classmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> Self:
        return cls(artifacts["offset"])

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int | None = None, specials: Sequence[str] = ()) -> Self:
        return cls()


@pytest.fixture
def tokenizer() -> AsciiTokenizer:
    return AsciiTokenizer()


def prepared(tokenizer: Tokenizer | TokenizerInfo = CHAR, texts: list[str] = TEXTS, fraction: float = 0.2) -> Dataset:
    return prepare(text_source(texts), tokenizer, validation_fraction=fraction)


def entry(cache: Path, kind: str) -> Path:
    (folder,) = (cache / kind).iterdir()
    return folder


def test_tokens_decode_to_the_documents_each_followed_by_the_delimiter() -> None:
    dataset = prepared()
    sides = [dataset.tokenizer.decode(side.tokens.tolist()) for side in (dataset.train, dataset.validation)]
    documents = [text for side in sides for text in side.split(END_OF_TEXT)[:-1]]
    assert sorted(documents) == TEXTS
    assert all(side.endswith(END_OF_TEXT) for side in sides)


def test_document_starts_point_at_the_first_token_of_each_document() -> None:
    train = prepared().train
    delimiter = prepared().tokenizer.specials[END_OF_TEXT]
    ends = np.flatnonzero(train.tokens == delimiter)
    assert train.document_starts.tolist() == [0, *(ends[:-1] + 1).tolist()]


def test_one_document_is_split_by_characters_and_has_no_delimiter() -> None:
    dataset = prepared(texts=["abcdefghij" * 10], fraction=0.1)
    assert dataset.tokenizer.decode(dataset.train.tokens.tolist()) == "abcdefghij" * 9
    assert dataset.tokenizer.decode(dataset.validation.tokens.tolist()) == "abcdefghij"
    assert dataset.validation.document_starts.tolist() == [0]


def test_bytes_per_token_counts_utf8() -> None:
    dataset = prepared(texts=["é" * 100], fraction=0.1)
    assert dataset.train.text_bytes == 180
    assert dataset.train.bytes_per_token == dataset.validation.bytes_per_token == 2.0


def test_a_fraction_of_zero_leaves_validation_empty() -> None:
    dataset = prepared(fraction=0.0)
    assert len(dataset.validation.tokens) == 0
    assert dataset.validation.bytes_per_token == 0.0
    assert len(dataset.train.document_starts) == len(TEXTS)


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="validation fraction"):
        prepared(fraction=fraction)


def test_the_cache_spares_encoding_and_training(tokenizer: AsciiTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    first, trained = prepared(tokenizer), prepared()
    assert len(tokenizer.encoded) == len(TEXTS)
    monkeypatch.setattr(CharTokenizer, "train", None)
    again, found = prepared(tokenizer), prepared()
    assert len(tokenizer.encoded) == len(TEXTS)
    for old, new in ((first, again), (trained, found)):
        assert new.key == old.key
        assert new.notes == ()
        assert new.tokenizer.to_artifacts() == old.tokenizer.to_artifacts()
        np.testing.assert_array_equal(new.train.tokens, old.train.tokens)


def test_tokens_are_mapped_and_small() -> None:
    tokens = prepared().train.tokens
    assert isinstance(tokens, np.memmap)
    assert tokens.dtype == np.uint16


class LargeTokenizer(AsciiTokenizer):
    """Has more ids than 16 bits hold."""

    vocab_size = 70_000
    ids = (69_999,)

    def encode(self, text: str) -> list[int]:
        return list(self.ids)


def test_a_large_vocabulary_takes_32_bits() -> None:
    tokens = prepared(LargeTokenizer()).train.tokens
    assert tokens.dtype == np.uint32
    assert tokens.max() == 69_999


@pytest.mark.parametrize("wrong", [-1, 70_000])
def test_an_id_outside_the_vocabulary_is_refused_and_nothing_is_stored(
    cache: Path, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    monkeypatch.setattr(LargeTokenizer, "ids", (5, wrong))
    with pytest.raises(TokenizerError, match=f"token id {wrong}, but its vocab_size is 70000"):
        prepared(LargeTokenizer())
    assert list((cache / "tokens").iterdir()) == []


def test_text_tokenizer_and_fraction_each_have_their_own_tokens(tokenizer: AsciiTokenizer) -> None:
    keys = {
        prepared(tokenizer).key,
        prepared(tokenizer, [*TEXTS, "more"]).key,
        prepared(tokenizer, fraction=0.3).key,
        prepared(AsciiTokenizer(offset=1)).key,
    }
    assert len(keys) == 4


def test_files_and_delimiters_with_the_same_documents_share_their_tokens(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for i, text in enumerate(TEXTS):
        (tmp_path / "texts" / f"{i}.txt").write_text(text)
    (tmp_path / "all.txt").write_text(END_OF_TEXT.join(TEXTS))
    folder, file = (prepare(str(tmp_path / name), CHAR) for name in ("texts", "all.txt"))
    assert folder.key == file.key
    assert folder.content == file.content


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut_off, flip, Path.unlink])
@pytest.mark.parametrize("name", ["train.tokens", "train.starts", "validation.tokens", "metadata.json"])
def test_damaged_tokens_are_noticed_and_made_anew(
    cache: Path, tokenizer: AsciiTokenizer, name: str, damage: Callable[[Path], None]
) -> None:
    good = prepared(tokenizer)
    expected = good.train.tokens.tolist()
    damage(entry(cache, "tokens") / name)
    tokenizer.encoded.clear()
    again = prepared(tokenizer)
    assert len(tokenizer.encoded) == len(TEXTS)
    assert again.train.tokens.tolist() == expected
    assert "made anew" in again.notes[0]
    assert prepared(tokenizer).notes == ()


def test_tokens_beyond_the_vocabulary_are_noticed(cache: Path, tokenizer: AsciiTokenizer) -> None:
    prepared(tokenizer)
    path = entry(cache, "tokens") / "train.tokens"
    tokens = np.fromfile(path, "<u2")
    tokens[3] = tokenizer.vocab_size
    tokens.tofile(path)
    assert f"holds {tokenizer.vocab_size}, which is not below {tokenizer.vocab_size}" in prepared(tokenizer).notes[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"checksum": 1}', b"[" * 100_000, b"\xff"])
def test_foreign_metadata_is_noticed(cache: Path, tokenizer: AsciiTokenizer, content: bytes) -> None:
    prepared(tokenizer)
    (entry(cache, "tokens") / "metadata.json").write_bytes(content)
    assert "made anew" in prepared(tokenizer).notes[0]


@pytest.mark.parametrize("damage", [cut_off, flip, Path.unlink])
def test_a_damaged_tokenizer_is_noticed_and_trained_anew(cache: Path, damage: Callable[[Path], None]) -> None:
    expected = prepared().tokenizer.to_artifacts()
    damage(entry(cache, "tokenizers") / "tokenizer.json")
    again = prepared()
    assert again.tokenizer.to_artifacts() == expected
    assert prepared().notes == ()
    assert "made anew" in again.notes[0]


def test_a_tokenizer_whose_code_refuses_its_artifacts_is_trained_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()

    def refuse(artifacts: dict[str, object]) -> CharTokenizer:
        raise TokenizerError("no longer")

    monkeypatch.setattr(CharTokenizer, "from_artifacts", refuse)
    assert "no longer" in prepared().notes[0]


def test_the_tokens_can_be_opened_without_the_text(tokenizer: AsciiTokenizer) -> None:
    dataset = prepared(tokenizer)
    again = open_dataset(dataset.key, tokenizer)
    assert again.content == dataset.content
    np.testing.assert_array_equal(again.validation.tokens, dataset.validation.tokens)


def test_tokens_that_are_gone_or_of_another_tokenizer_cannot_be_opened(tokenizer: AsciiTokenizer) -> None:
    dataset = prepared(tokenizer)
    with pytest.raises(DataError, match="not in the cache"):
        open_dataset("0" * 64, tokenizer)
    with pytest.raises(DataError, match="another text or tokenizer"):
        open_dataset(dataset.key, AsciiTokenizer(offset=1))


class NoDelimiterTokenizer(AsciiTokenizer):
    """Has no special tokens."""

    specials: dict[str, int] = {}  # noqa: RUF012


def test_a_tokenizer_without_delimiter_brings_a_note() -> None:
    assert "has no `<|end_of_text|>`" in prepared(NoDelimiterTokenizer()).notes[0]


def test_a_cache_that_cannot_be_written_is_replaced_by_a_temporary_one(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    dataset = prepare(text_source(TEXTS), CHAR, cache=blocked)
    (note,) = dataset.notes
    assert f"the cache folder `{blocked}` cannot be written" in note
    assert "ALPHA_CACHE" in note
    assert dataset.tokenizer.decode(dataset.train.tokens.tolist()).startswith("text number")


@pytest.mark.skipif(os.getuid() == 0, reason="runs as root, whom no permission stops")
def test_a_read_only_cache_is_replaced_by_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "Permission denied" in prepare(text_source(TEXTS), CHAR, cache=tmp_path / "locked").notes[0]


def test_a_text_that_changes_while_it_is_read_is_refused(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "text"
    path.write_text("first version " * 10)

    class Disturbed(AsciiTokenizer):
        def to_artifacts(self) -> dict[str, Any]:
            path.write_text("other version " * 10)
            return super().to_artifacts()

    with pytest.raises(DataError, match="changed while it was read"):
        prepare(str(path), Disturbed())
    assert list((cache / "tokens").iterdir()) == []


def test_progress_reaches_its_total_in_every_activity() -> None:
    calls: list[tuple[str, int, int]] = []
    prepare(text_source(TEXTS), CHAR, progress=lambda *call: calls.append(call))
    last = {activity: (done, total) for activity, done, total in calls}
    assert list(last) == ["reading text", "training the tokenizer", "encoding text"]
    assert all(done == total > 0 for done, total in last.values())


def test_what_a_killed_process_left_behind_is_removed_after_a_day(cache: Path) -> None:
    old, new = cache / "tokens" / ".building-old", cache / "tokens" / ".building-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    prepared()
    assert not old.exists()
    assert new.exists()


def test_processes_at_once_agree_and_leave_nothing_unfinished(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(END_OF_TEXT.join(TEXTS * 200))
    code = (
        "import sys, json\n"
        "from alpha_core.descriptors import TokenizerInfo\n"
        "from alpha_tokenizers import CharTokenizer\n"
        "from alpha_train.data import prepare\n"
        "dataset = prepare(sys.argv[1], TokenizerInfo(name='char', summary='', load=lambda: CharTokenizer))\n"
        "print(json.dumps([dataset.key, len(dataset.train.tokens), int(dataset.train.tokens.sum()), dataset.notes]))\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "text")]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert all(result == results[0] for result in results)
    assert results[0][3] == []
    assert [path.name for path in (cache / "tokens").iterdir()] == [results[0][0]]


def test_the_cache_is_in_the_users_cache_folder_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALPHA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    prepared()
    assert (tmp_path / "xdg" / "alpha" / "tokens").is_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    prepared()
    assert (tmp_path / "home" / ".cache" / "alpha" / "tokens").is_dir()


def test_memory_stays_far_below_the_size_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with open(path, "w") as file:
        for i in range(60):
            file.write(f"line {i} of a text that is longer than memory should grow\n" * 17_000)
    code = (
        "import resource, sys\n"
        "from alpha_core.tokenizer import Tokenizer\n"
        "from alpha_train.data import prepare\n"
        "class Quick(Tokenizer):\n"
        "    type, vocab_size, specials, decode, from_artifacts, train = 'quick', 1, {}, None, None, None\n"
        "    def encode(self, text): return [0] * (len(text) // 2)\n"
        "    def to_artifacts(self): return {}\n"
        "tokenizer = Quick()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "prepare(sys.argv[1], tokenizer)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert path.stat().st_size > 55e6
    assert int(result.stdout) < 25e6
