"""Writing a dataset as token shards, for other programs and for training without the text."""

from collections.abc import Iterator
from pathlib import Path

from alpha_core.errors import DataError, UsageError
from alpha_train.data.cache import canonical_hash
from alpha_train.data.dataset import Dataset
from alpha_train.data.progress import Progress, no_progress
from alpha_train.data.shard_file import LLMC_GPT2, LLMC_LLAMA3, NANOGPT, ShardFormat, write_shard
from alpha_train.data.shard_index import INDEX_FILE, ShardIndex
from alpha_train.data.shards import SHARD_SUFFIX, TOKENIZER_FILE
from alpha_train.data.token_ids import blocks_of
from alpha_train.json_file import write_json

__all__ = ["export_shards"]

_TOKENS_IN_SHARD = 10**8  # as llm.c's own scripts have it; a header can count 2**31 - 1
_FILE_NAMES = {"train": "train", "validation": "val"}


def export_shards(dataset: Dataset, folder: Path, kind: str, progress: Progress = no_progress) -> list[Path]:
    """Writes both splits into `folder`, with tokenizer and index beside them, and returns the paths of the shards.

    Kind `nanogpt` is `train.bin` and `val.bin`; `llmc` is `train_000000.bin`, `val_000000.bin` and so on, with uint16
    ids for a vocabulary of at most 65536 tokens and uint32 ids otherwise. An empty split has no file. Raises
    `DataError` for tokens that the format cannot hold, or that cannot be written, and `UsageError` for a folder with
    shards in it.
    """
    if dataset.train.mask is not None:
        raise DataError(
            "the text holds conversations, and shards cannot store which of their tokens count in the loss",
            hint="train on the conversations themselves; their tokens are kept in the cache",
        )
    format = _format_for(kind, dataset.tokenizer.vocab_size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob(f"*{SHARD_SUFFIX}")) or (folder / INDEX_FILE).exists():
            raise UsageError(f"`{folder}` holds shards already", hint="name another folder, or remove them")
        return _write(dataset, folder, format, progress)
    except OSError as error:
        raise DataError(f"shards cannot be written to `{folder}`: {error.strerror}") from error


def _format_for(kind: str, vocab_size: int) -> ShardFormat:
    small = vocab_size <= 1 << 16
    if kind == "llmc":
        return LLMC_GPT2 if small else LLMC_LLAMA3
    if not small:
        raise DataError(
            f"shards of nanoGPT hold ids below 65536, and the tokenizer has {vocab_size} tokens", hint="use `--to=llmc`"
        )
    return NANOGPT


def _write(dataset: Dataset, folder: Path, format: ShardFormat, progress: Progress) -> list[Path]:
    splits = {"train": dataset.train, "validation": dataset.validation}
    total, done = sum(len(split.tokens) for split in splits.values()), 0
    index: dict[str, dict[str, int]] = {}
    for name, split in splits.items():
        for file_name, start, stop in _parts(_FILE_NAMES[name], len(split.tokens), format):
            blocks = blocks_of(split.tokens, start, stop)
            checksum = write_shard(folder / file_name, format, stop - start, blocks)
            index[file_name] = {"tokens": stop - start, "crc32": checksum}
            done += stop - start
            progress("writing shards", done, total)
    artifacts = dataset.tokenizer.to_artifacts()
    write_json(folder / TOKENIZER_FILE, artifacts, DataError)
    sizes = {name: {"textBytes": split.text_bytes, "characters": split.characters} for name, split in splits.items()}
    ShardIndex(shards=index, splits=sizes, tokenizer=canonical_hash(artifacts)).write(folder / INDEX_FILE)
    return [folder / name for name in index]


def _parts(name: str, count: int, format: ShardFormat) -> Iterator[tuple[str, int, int]]:
    """Yields the shards of `count` tokens: file name, first token, and the one after the last."""
    if format.magic is None:
        if count:
            yield f"{name}{SHARD_SUFFIX}", 0, count
        return
    for number, start in enumerate(range(0, count, _TOKENS_IN_SHARD)):
        yield f"{name}_{number:06}{SHARD_SUFFIX}", start, min(start + _TOKENS_IN_SHARD, count)
