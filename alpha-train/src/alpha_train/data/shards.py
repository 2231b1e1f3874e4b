"""Token shards as training data: which files they are, the tokenizer beside them, and their index.

Shards are a file `*.bin`; a folder with a `.bin` file that has `train` in its name; or a glob all of whose files are
`.bin`. Those with `val` in their name are for validation. Alpha puts two files beside the shards that it writes, and
reads them if they are there: `tokenizer.json`, and the index `shards.json` with the length and checksum of every shard.
"""

import re
import stat
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs

from alpha_core.errors import DataError
from alpha_core.tokenizer import Tokenizer
from alpha_train.data.cache import canonical_hash
from alpha_train.data.progress import Progress, no_progress
from alpha_train.data.shard_file import Shard, open_shard
from alpha_train.data.shard_index import INDEX_FILE, ShardIndex
from alpha_train.data.source import STANDARD_INPUT, STANDARD_LIBRARY, WILDCARDS, files_matching, look_up
from alpha_train.data.token_ids import IdArray, concatenated
from alpha_train.data.token_store import TokenSplit

__all__ = [
    "SHARD_SUFFIX",
    "TOKENIZER_FILE",
    "OpenShards",
    "ShardFiles",
    "find_shards",
    "open_shards",
]

SHARD_SUFFIX = ".bin"
TOKENIZER_FILE = "tokenizer.json"
_TRAIN = re.compile(r"train", re.IGNORECASE)
_VALIDATION = re.compile(r"(?<![a-z])val(id(ation)?)?(?![a-z])", re.IGNORECASE)


@attrs.frozen
class ShardFiles:
    """The shards that a person named."""

    name: str
    train: tuple[Path, ...]
    """Never empty."""
    validation: tuple[Path, ...]
    is_folder: bool = False
    """Whether all shards of a folder were meant."""
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where tokenizer and index are."""
        return self.train[0].parent

    @property
    def tokenizer_path(self) -> Path | None:
        """The `tokenizer.json` beside the shards, if there is one."""
        path = self.folder / TOKENIZER_FILE
        return path if path.is_file() else None

    def no_tokenizer(self, name: str) -> DataError:
        """Returns the error that a tokenizer with this name would have to be learned from text."""
        pickle = self.folder / "meta.pkl"
        reason = f"; `{pickle}` is a pickle, which is code and never read" if pickle.exists() else ""
        return DataError(
            f"`{self.name}` holds token ids and no text that tokenizer `{name}` could be learned from{reason}",
            hint=f"name the tokenizer that made them, `--tokenizer=FILE.json`, or put it there as `{TOKENIZER_FILE}`",
        )


@attrs.frozen(eq=False)
class OpenShards:
    """Shards as the two splits of a dataset."""

    content: str
    """Changes with the tokens."""
    train: TokenSplit
    validation: TokenSplit


def find_shards(spec: str) -> ShardFiles | None:
    """Returns the token shards that `spec` means, or None if it means something else.

    Raises `DataError` for what cannot be read.
    """
    if spec in (STANDARD_INPUT, STANDARD_LIBRARY):
        return None
    path, mode = look_up(spec)
    if mode is not None and stat.S_ISREG(mode):
        return ShardFiles(spec, (path,), ()) if _is_shard(path) else None
    if mode is not None and stat.S_ISDIR(mode):
        return _in_folder(spec, path)
    if mode is None and WILDCARDS & set(spec):
        found = files_matching(str(path))
        return _sorted_out(spec, found) if found and all(map(_is_shard, found)) else None
    return None


def open_shards(
    files: ShardFiles, tokenizer: Tokenizer, validation_fraction: float, progress: Progress = no_progress
) -> OpenShards:
    """Maps shards into memory, after checking each of them.

    Without shards for validation, the last tokens are held out, `validation_fraction` of all. Raises `DataError` for a
    shard that is damaged, of another tokenizer, or not what the index says, and for shards of different types.
    """
    index = _read_index(files)
    if index is not None and index.tokenizer != canonical_hash(tokenizer.to_artifacts()):
        raise DataError(f"`{files.name}` was made with another tokenizer", hint=f"use the `{TOKENIZER_FILE}` beside it")
    paths = (*files.train, *files.validation)
    total, done = sum(path.stat().st_size for path in paths if path.exists()), 0
    shards: dict[Path, Shard] = {}
    for path in paths:
        shards[path] = open_shard(path, tokenizer.vocab_size, partial(_report, progress, done, total))
        done += shards[path].tokens.nbytes + shards[path].format.header_bytes
        if index is not None:
            index.check(path, shards[path])
    kinds = {shard.format.dtype for shard in shards.values()}
    if len(kinds) > 1:
        raise DataError(f"`{files.name}` mixes shards of uint16 and of uint32 ids", hint="name those of one type")
    train = [shards[path].tokens for path in files.train]
    validation = [shards[path].tokens for path in files.validation]
    if not validation:
        train, validation = _tail(train, validation_fraction)
    complete = index is not None and index.shards.keys() == {path.name for path in paths}
    sizes = index.splits if index is not None and complete and (files.validation or validation_fraction == 0) else {}
    return OpenShards(
        canonical_hash({"shards": [[len(shards[path].tokens), shards[path].crc32] for path in paths]}),
        _split(train, sizes.get("train")),
        _split(validation, sizes.get("validation")),
    )


def _report(progress: Progress, before: int, total: int, size: int) -> None:
    progress("checking tokens", min(before + size, total), total)


def _is_shard(path: Path) -> bool:
    return path.suffix.lower() == SHARD_SUFFIX


def _in_folder(spec: str, folder: Path) -> ShardFiles | None:
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        raise DataError(f"folder `{spec}` cannot be read: {error.strerror}") from error
    shards = [path for path in found if _is_shard(path) and (_TRAIN.search(path.name) or _VALIDATION.search(path.name))]
    if not any(_TRAIN.search(path.name) for path in shards):
        return None
    others = [path.name for path in found if path not in shards and path.name not in (TOKENIZER_FILE, INDEX_FILE)]
    count = "one other file is" if len(others) == 1 else f"{len(others)} other files are"
    notes = (f"`{spec}` holds token shards; {count} not read",) if others else ()
    return attrs.evolve(_sorted_out(spec, shards), is_folder=True, notes=notes)


def _sorted_out(spec: str, paths: Sequence[Path]) -> ShardFiles:
    validation = tuple(path for path in paths if _VALIDATION.search(path.stem))
    train = tuple(path for path in paths if path not in validation)
    if not train:  # only shards for validation were asked for, to evaluate on them
        train, validation = validation, ()
    return ShardFiles(spec, train, validation)


def _tail(arrays: list[IdArray], fraction: float) -> tuple[list[IdArray], list[IdArray]]:
    """Splits arrays so that the second part has about `fraction` of their elements; neither part is without arrays."""
    boundary = round(sum(map(len, arrays)) * (1 - fraction))
    first: list[IdArray] = []
    second: list[IdArray] = []
    for array in arrays:
        here = min(boundary, len(array))
        boundary -= here
        first += [array[:here]] if here else []
        second += [array[here:]] if here < len(array) else []
    return first or [arrays[0][:0]], second or [arrays[0][:0]]


def _split(arrays: list[IdArray], sizes: Mapping[str, int | None] | None) -> TokenSplit:
    tokens = concatenated(arrays)
    text_bytes = sizes["textBytes"] if sizes is not None else None
    return TokenSplit(
        tokens=tokens,
        document_starts=None,
        text_bytes=text_bytes,
        characters=sizes["characters"] if sizes is not None else None,
        loss_bytes=text_bytes,
        loss_tokens=len(tokens),
    )


def _read_index(files: ShardFiles) -> ShardIndex | None:
    path = files.folder / INDEX_FILE
    if not path.exists():
        return None
    index = ShardIndex.read(path)
    named = {path.name for path in (*files.train, *files.validation)}
    missing = sorted(index.shards.keys() - named) if files.is_folder else []
    if missing:
        raise DataError(f"`{files.folder}` lacks the shard `{missing[0]}`, which its `{INDEX_FILE}` lists")
    foreign = sorted(named - index.shards.keys())
    if foreign:
        raise DataError(f"`{path}` does not list the shard `{foreign[0]}`", hint=f"move it, or remove `{INDEX_FILE}`")
    return index
