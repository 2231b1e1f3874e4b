"""Tokens on disk: a folder with the token ids of both splits, memory-mapped when they are read.

For each split, `<split>.tokens` holds the ids, little-endian and without a gap, as uint16 if the vocabulary has at most
65536 tokens and as uint32 otherwise; `<split>.starts` holds, as uint64, the index of the first token of each document.
`metadata.json` holds counts, checksums and the identity of the text and tokenizer that they are from.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.errors import DataError, TokenizerError
from alpha_train.data.cache import canonical_hash

__all__ = ["SPLITS", "TOKEN_STORE_VERSION", "TokenSplit", "TokenStore", "TokenWriter", "token_writers"]

TOKEN_STORE_VERSION = 1
SPLITS = ("train", "validation")
_METADATA = "metadata.json"
_CHECKED_AT_ONCE = 1 << 20  # elements

TokenIds = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


@attrs.frozen(eq=False)
class TokenSplit:
    """The tokens of one split."""

    tokens: TokenIds
    """(N,), uint16 or uint32."""
    document_starts: npt.NDArray[np.uint64]
    """Index of the first token of each document."""
    text_bytes: int
    """Bytes of the text, as UTF-8, without delimiters."""

    @property
    def bytes_per_token(self) -> float:
        """For bits per byte: loss in nats / ln 2 / `bytes_per_token`. 0 for an empty split."""
        return self.text_bytes / len(self.tokens) if len(self.tokens) else 0.0


@attrs.frozen(eq=False)
class TokenStore:
    """Both splits of a text, as one tokenizer sees it."""

    identity: Mapping[str, Any]
    train: TokenSplit
    validation: TokenSplit

    @classmethod
    def open(cls, folder: Path, vocab_size: int) -> "TokenStore":
        """Maps the tokens in `folder` into memory, after checking lengths, checksums and ids against `vocab_size`.

        Raises `OSError` if there is no such folder, and `DataError` with the reason if its content is damaged.
        """
        text = (folder / _METADATA).read_bytes()
        try:
            content = json.loads(text)
            checksum = content.pop("checksum")
            if checksum != canonical_hash(content):
                raise DataError("the checksum of `metadata.json` is wrong")
            identity, splits = content["identity"], content["splits"]
            train, validation = (_open_split(folder, name, splits[name], vocab_size) for name in SPLITS)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"`metadata.json` is malformed: {error}") from error
        except OSError as error:
            raise DataError(f"{error.strerror}: `{error.filename}`") from error
        return cls(identity, train, validation)


class TokenWriter:
    """Appends the tokens of one split to its files."""

    def __init__(self, tokens: BinaryIO, starts: BinaryIO, vocab_size: int) -> None:
        self.text_bytes = 0
        self._tokens = _Column(tokens, _dtype_for(vocab_size))
        self._starts = _Column(starts, np.dtype("<u8"))
        self._vocab_size = vocab_size
        self._in_document = False

    def add(self, ids: Sequence[int], *, text_bytes: int, ends_document: bool) -> None:
        """Appends the tokens of a piece of text. Raises `TokenizerError` for an id outside the vocabulary."""
        values = np.array(ids, dtype=np.int64)
        if len(values) and not 0 <= values.min() <= values.max() < self._vocab_size:
            wrong = int(values[(values < 0) | (values >= self._vocab_size)][0])
            raise TokenizerError(f"the tokenizer made the token id {wrong}, but its vocab_size is {self._vocab_size}")
        if not self._in_document:
            self._starts.append(np.array([self._tokens.count]))
        self._tokens.append(values)
        self.text_bytes += text_bytes
        self._in_document = not ends_document

    @property
    def metadata(self) -> dict[str, Any]:
        return {"textBytes": self.text_bytes, "tokens": self._tokens.metadata, "starts": self._starts.metadata}


@contextmanager
def token_writers(
    folder: Path, vocab_size: int, identity: Mapping[str, Any]
) -> Iterator[tuple[TokenWriter, TokenWriter]]:
    """Opens the writers for training and validation tokens; the `with` block's end writes the metadata."""
    with (
        open(folder / "train.tokens", "wb") as train_tokens,
        open(folder / "train.starts", "wb") as train_starts,
        open(folder / "validation.tokens", "wb") as validation_tokens,
        open(folder / "validation.starts", "wb") as validation_starts,
    ):
        train = TokenWriter(train_tokens, train_starts, vocab_size)
        validation = TokenWriter(validation_tokens, validation_starts, vocab_size)
        yield train, validation
    content = {"identity": dict(identity), "splits": {"train": train.metadata, "validation": validation.metadata}}
    stored = {**content, "checksum": canonical_hash(content)}
    (folder / _METADATA).write_text(json.dumps(stored, indent=1), encoding="utf-8")


class _Column:
    """A file of numbers that grows."""

    def __init__(self, file: BinaryIO, dtype: np.dtype[Any]) -> None:
        self.count = 0
        self._file = file
        self._dtype = dtype
        self._checksum = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        data = values.astype(self._dtype).tobytes()
        self._file.write(data)
        self._checksum = zlib.crc32(data, self._checksum)
        self.count += len(values)

    @property
    def metadata(self) -> dict[str, Any]:
        return {"count": self.count, "dtype": self._dtype.str, "crc32": self._checksum}


def _open_split(folder: Path, name: str, metadata: Mapping[str, Any], vocab_size: int) -> TokenSplit:
    tokens = _open_column(folder / f"{name}.tokens", metadata["tokens"], _dtype_for(vocab_size), vocab_size)
    starts = _open_column(folder / f"{name}.starts", metadata["starts"], np.dtype("<u8"), max(len(tokens), 1))
    return TokenSplit(tokens, starts, int(metadata["textBytes"]))


def _open_column(path: Path, metadata: Mapping[str, Any], dtype: np.dtype[Any], bound: int) -> npt.NDArray[Any]:
    """Maps a file of numbers, all of which must be below `bound`."""
    count, size = metadata["count"], path.stat().st_size
    if metadata["dtype"] != dtype.str:
        raise DataError(f"`{path.name}` holds `{metadata['dtype']}` instead of `{dtype.str}`")
    if size != count * dtype.itemsize:
        raise DataError(f"`{path.name}` has {size} bytes instead of {count * dtype.itemsize}")
    if count == 0:
        return np.zeros(0, dtype)
    checksum = 0
    with open(path, "rb") as file:  # not through the map, whose pages would count as memory of this process
        while len(part := np.fromfile(file, dtype, _CHECKED_AT_ONCE)) > 0:
            checksum = zlib.crc32(part.data, checksum)
            if int(part.max()) >= bound:
                raise DataError(f"`{path.name}` holds {int(part.max())}, which is not below {bound}")
    if checksum != metadata["crc32"]:
        raise DataError(f"the checksum of `{path.name}` is wrong")
    return np.memmap(path, dtype, mode="r")


def _dtype_for(vocab_size: int) -> np.dtype[Any]:
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")
