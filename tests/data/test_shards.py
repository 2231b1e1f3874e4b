"""Token shards: the formats of other programs, which files they are, and what is said of damaged ones."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import DataError, UsageError
from alpha_core.tokenizer import END_OF_TEXT
from alpha_tokenizers import CharTokenizer
from alpha_train.data import Dataset, RandomWindows, prepare, text_source
from alpha_train.data.shard_export import export_shards
from alpha_train.data.shard_file import LLMC_GPT2, LLMC_LLAMA3, NANOGPT, open_shard
from alpha_train.data.token_ids import ShardedTokens

CHAR = TokenizerInfo(name="char", summary="", load=lambda: CharTokenizer)
TOKENIZER = CharTokenizer.train(["abcdefgh"], specials=(END_OF_TEXT,))  # ids 0 to 9
IDS = np.arange(1000) % 10


def llmc(path: Path, ids: npt.NDArray[np.int64], magic: int = 20240520, version: int = 1, dtype: str = "<u2") -> None:
    """Writes a shard as llm.c's `write_datafile` does."""
    header = np.zeros(256, "<i4")
    header[:3] = magic, version, len(ids)
    path.write_bytes(header.tobytes() + ids.astype(dtype).tobytes())


def nanogpt(path: Path, ids: npt.NDArray[np.int64]) -> None:
    ids.astype("<u2").tofile(path)


def opened(spec: Path, fraction: float = 0.1) -> Dataset:
    return prepare(str(spec), TOKENIZER, validation_fraction=fraction)


def message_of(spec: Path) -> str:
    with pytest.raises(DataError) as caught:
        opened(spec)
    return str(caught.value)


def test_nanogpts_folder_is_read_as_it_is(tmp_path: Path) -> None:
    nanogpt(tmp_path / "train.bin", IDS)
    nanogpt(tmp_path / "val.bin", IDS[:30])
    dataset = opened(tmp_path)
    assert dataset.train.tokens[:].tolist() == IDS.tolist()
    assert dataset.validation.tokens[:].tolist() == IDS[:30].tolist()
    assert dataset.notes == ()
    assert isinstance(dataset.train.tokens, np.memmap)


@pytest.mark.parametrize(("magic", "version", "dtype"), [(20240520, 1, "<u2"), (20240801, 7, "<u4")])
def test_llmcs_shards_are_one_sequence(tmp_path: Path, magic: int, version: int, dtype: str) -> None:
    for number, part in enumerate(np.split(IDS, 4)):
        llmc(tmp_path / f"edu_fineweb_train_{number:06}.bin", part, magic, version, dtype)
    llmc(tmp_path / "edu_fineweb_val_000000.bin", IDS[:30], magic, version, dtype)
    for spec in (tmp_path, tmp_path / "*.bin"):
        dataset = opened(spec)
        assert dataset.train.tokens[:].tolist() == IDS.tolist()
        assert dataset.validation.tokens[:].tolist() == IDS[:30].tolist()
        assert dataset.train.tokens[3:7].dtype == np.dtype(dtype)


def test_without_shards_for_validation_the_end_is_held_out(tmp_path: Path) -> None:
    nanogpt(tmp_path / "tokens.bin", IDS)
    dataset = opened(tmp_path / "tokens.bin", fraction=0.25)
    assert dataset.train.tokens[:].tolist() == IDS[:750].tolist()
    assert dataset.validation.tokens[:].tolist() == IDS[750:].tolist()
    for number, part in enumerate(np.split(IDS, 4)):
        llmc(tmp_path / f"train_{number}.bin", part)
    for fraction, boundary in ((0.1, 900), (0.25, 750), (0.6, 400), (0.0, 1000)):
        dataset = opened(tmp_path / "train_*.bin", fraction=fraction)
        assert dataset.train.tokens[:].tolist() == IDS[:boundary].tolist()
        assert dataset.validation.tokens[:].tolist() == IDS[boundary:].tolist()


def test_shards_give_the_windows_of_one_array() -> None:
    whole = np.arange(100, dtype=np.uint16)
    shards = ShardedTokens([whole[:7], whole[7:8], whole[8:90], whole[90:]])
    assert len(shards) == 100
    settings = {"block_size": 12, "batch_size": 50, "seed": 3}
    expected, found = (RandomWindows(tokens, **settings).batch(0) for tokens in (whole, shards))
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    np.testing.assert_array_equal(found.targets, expected.targets)
    for part in (slice(5, 95), slice(-3, None), slice(200, 300), slice(0, 100, 7)):
        np.testing.assert_array_equal(shards[part], whole[part])


def test_other_files_beside_shards_are_told(tmp_path: Path) -> None:
    nanogpt(tmp_path / "train.bin", IDS)
    (tmp_path / "prepare.py").write_text("print()")
    assert opened(tmp_path).notes == (f"`{tmp_path}` holds token shards; one other file is not read",)


def test_a_folder_of_shards_with_other_names_is_told_how_to_name_them(tmp_path: Path) -> None:
    nanogpt(tmp_path / "a.bin", IDS)
    assert message_of(tmp_path).endswith("as in `--data='FOLDER/*.bin'`")
    assert len(opened(tmp_path / "*.bin").train.tokens) == 900


def test_the_key_depends_on_tokens_and_fraction(tmp_path: Path) -> None:
    nanogpt(tmp_path / "a.bin", IDS)
    nanogpt(tmp_path / "b.bin", IDS[::-1])
    keys = {opened(tmp_path / "a.bin").key, opened(tmp_path / "b.bin").key, opened(tmp_path / "a.bin", 0.2).key}
    assert len(keys) == 3
    assert opened(tmp_path / "a.bin").content != opened(tmp_path / "b.bin").content


def test_a_tokenizer_cannot_be_learned_from_shards(tmp_path: Path) -> None:
    nanogpt(tmp_path / "train.bin", IDS)
    (tmp_path / "meta.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(DataError, match="no text that tokenizer `char` could be learned from") as caught:
        prepare(str(tmp_path), CHAR)
    assert "`meta.pkl` is a pickle" in caught.value.message.replace(f"{tmp_path}/", "")
    assert "--tokenizer=FILE.json" in str(caught.value)


def header_of(path: Path, **fields: int) -> None:
    data = bytearray(path.read_bytes())
    header = np.frombuffer(data, "<i4", 256)
    for name, value in fields.items():
        header[int(name.removeprefix("field"))] = value
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"field1": 2}, "`{path}` is of version 2 of llm.c (GPT-2), and only 1 can be read"),
        ({"field2": 999}, "`{path}` has 3024 bytes, and should have 3022 for the 999 tokens of its header"),
        ({"field2": 0}, "`{path}` has 3024 bytes, and should have 1024 for the 0 tokens of its header"),
        ({"field2": -1}, "`{path}` has 3024 bytes, and should have 1022 for the -1 tokens of its header"),
        ({"field9": 1}, "the header of `{path}` is damaged: its field 9 is not 0"),
        ({"field0": 20240521}, "`{path}` is no token shard: it has a header with the unknown magic 20240521"),
        ({"field0": 20240522, "field3": 9}, "`{path}` is no token shard: it holds questions for an evaluation"),
        ({"field0": 20240326}, "`{path}` is no token shard: it holds a model"),
    ],
)
def test_a_header_that_is_wrong_is_refused_with_the_reason(
    tmp_path: Path, fields: dict[str, int], message: str
) -> None:
    path = tmp_path / "x.bin"
    llmc(path, IDS)
    header_of(path, **fields)
    assert message_of(path) == message.format(path=path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "`{path}` is empty"),
        (b"\1\0\2", "`{path}` has 3 bytes, which is no whole number of uint16 ids"),
        (np.array([20240520, 1, 5], "<i4").tobytes(), "`{path}` ends within its header: it has 12 of 1024 bytes"),
        ("To be or not to be, that is the questiön".encode(), "`{path}` is no token shard: it holds text\nhint: give"),
        (b"\1\0\12\0", "`{path}` holds the token id 10 at place 1, and the tokenizer has the ids below 10\nhint: name"),
    ],
)
def test_what_is_no_shard_is_refused_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    assert message_of(path).startswith(message.format(path=path))


def test_shards_of_two_types_do_not_go_together(tmp_path: Path) -> None:
    nanogpt(tmp_path / "train.bin", IDS)
    llmc(tmp_path / "val.bin", IDS, 20240801, 7, "<u4")
    assert "mixes shards of uint16 and of uint32 ids" in message_of(tmp_path)


def test_a_shard_that_is_missing_is_named_with_a_suggestion(tmp_path: Path) -> None:
    nanogpt(tmp_path / "train.bin", IDS)
    assert message_of(tmp_path / "trian.bin").endswith(f"hint: did you mean `{tmp_path / 'train.bin'}`?")


def text(count: int = 40) -> Dataset:
    return prepare(text_source([f"document number {i}\n" for i in range(count)]), CHAR, validation_fraction=0.2)


@pytest.mark.parametrize(("kind", "format"), [("nanogpt", NANOGPT), ("llmc", LLMC_GPT2)])
def test_shards_that_are_written_are_read_again(tmp_path: Path, kind: str, format: object) -> None:
    dataset = text()
    paths = export_shards(dataset, tmp_path / "shards", kind)
    assert open_shard(paths[0], dataset.tokenizer.vocab_size).format == format
    again = prepare(str(tmp_path / "shards"), dataset.tokenizer)
    for split in ("train", "validation"):
        old, new = getattr(dataset, split), getattr(again, split)
        assert new.tokens[:].tolist() == old.tokens[:].tolist()
        assert (new.text_bytes, new.characters) == (old.text_bytes, old.characters)
        assert new.bytes_per_token == old.bytes_per_token
    if kind == "nanogpt":
        assert np.fromfile(paths[0], "<u2").tolist() == dataset.train.tokens[:].tolist()


def test_many_tokens_are_spread_over_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpha_train.data.shard_export._TOKENS_IN_SHARD", 100)
    dataset = text()
    paths = export_shards(dataset, tmp_path / "shards", "llmc")
    assert [path.name for path in paths[:2]] == ["train_000000.bin", "train_000001.bin"]
    assert {path.name for path in paths} >= {"val_000000.bin", "val_000001.bin"}
    shards = prepare(str(tmp_path / "shards"), dataset.tokenizer)
    assert shards.train.tokens[:].tolist() == dataset.train.tokens[:].tolist()
    again = export_shards(shards, tmp_path / "again", "nanogpt")
    assert np.fromfile(again[0], "<u2").tolist() == dataset.train.tokens[:].tolist()


class LargeTokenizer(CharTokenizer):
    """Has more ids than 16 bits hold."""

    vocab_size = 70_000


def test_a_large_vocabulary_takes_the_format_with_32_bits(tmp_path: Path) -> None:
    tokenizer = LargeTokenizer.from_artifacts(TOKENIZER.to_artifacts())
    dataset = prepare(text_source(["abcdefgh" * 20]), tokenizer)
    (train, _) = export_shards(dataset, tmp_path / "shards", "llmc")
    assert open_shard(train, 70_000).format == LLMC_LLAMA3
    with pytest.raises(DataError, match="hold ids below 65536, and the tokenizer has 70000") as caught:
        export_shards(dataset, tmp_path / "others", "nanogpt")
    assert caught.value.hint == "use `--to=llmc`"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    export_shards(text(), tmp_path / "shards", "nanogpt")
    with pytest.raises(UsageError, match="holds shards already"):
        export_shards(text(), tmp_path / "shards", "llmc")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        export_shards(text(), tmp_path / "file", "nanogpt")


def test_the_index_tells_what_is_missing_foreign_or_of_another_tokenizer(tmp_path: Path) -> None:
    dataset = text()
    train, validation = export_shards(dataset, tmp_path / "shards", "nanogpt")
    other = CharTokenizer.train(["another alphabet, with more than enough letters: document number 0123456789\n"])
    with pytest.raises(DataError, match="was made with another tokenizer"):
        prepare(str(train.parent), other)
    assert prepare(str(train), dataset.tokenizer).train.text_bytes is None  # a part of what the index counts
    nanogpt(train.parent / "train2.bin", IDS)
    with pytest.raises(DataError, match=r"does not list the shard `train2.bin`"):
        prepare(str(train.parent), dataset.tokenizer)
    (train.parent / "train2.bin").unlink()
    validation.unlink()
    with pytest.raises(DataError, match=r"lacks the shard `val.bin`"):
        prepare(str(train.parent), dataset.tokenizer)
