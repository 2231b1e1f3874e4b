"""Tokens on disk: a folder with the token ids of both splits, memory-mapped when they are read.

For each split, `<split>.tokens` holds the ids, little-endian and without a gap, as uint16 if the vocabulary has at most
65536 tokens and as uint32 otherwise; `<split>.starts` holds, as uint64, the index of the first token of each document.
If some tokens do not count in the loss, `<split>.mask` holds a byte for each token: 1 if it counts, otherwise 0.
`metadata.json` holds counts, checksums and the identity of the text and tokenizer that they are from.
"""

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.errors import DataError, TokenizerError
from alpha_train.data.cache import canonical_hash
from alpha_train.data.token_ids import TokenIds

__all__ = ["SPLITS", "TOKEN_STORE_VERSION", "TokenSplit", "TokenStore", "TokenWriter", "token_writers"]

TOKEN_STORE_VERSION = 2
SPLITS = ("train", "validation")
_METADATA = "metadata.json"
_CHECKED_AT_ONCE = 1 << 20  # elements


@attrs.frozen(eq=False, kw_only=True)
class TokenSplit:
    """The tokens of one split."""

    tokens: TokenIds
    """(N,), uint16 or uint32."""
    document_starts: npt.NDArray[np.uint64] | None
    """Index of the first token of each document; None if that is not known."""
    text_bytes: int | None
    """Bytes of the text, as UTF-8, without delimiters; None if only its tokens are known, like the next two."""
    characters: int | None
    loss_bytes: int | None
    """Bytes of the text that counts in the loss."""
    loss_tokens: int
    """Number of tokens that count in the loss."""
    mask: npt.NDArray[np.uint8] | None = None
    """(N,), 1 for each token that counts in the loss, otherwise 0; None if all do."""

    @property
    def bytes_per_token(self) -> float:
        """Of what counts in the loss; for bits per byte: loss in nats / ln 2 / `bytes_per_token`. NaN if not known."""
        if self.loss_bytes is None:
            return math.nan
        return self.loss_bytes / self.loss_tokens if self.loss_tokens else 0.0


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

    def __init__(self, tokens: BinaryIO, starts: BinaryIO, mask: BinaryIO | None, vocab_size: int) -> None:
        self._tokens = _Column(tokens, _dtype_for(vocab_size))
        self._starts = _Column(starts, np.dtype("<u8"))
        self._mask = _Column(mask, np.dtype("u1")) if mask is not None else None
        self._vocab_size = vocab_size
        self._in_document = False
        self._text_bytes = self._characters = self._loss_bytes = 0

    def add(
        self, ids: Sequence[int], *, text_bytes: int, characters: int, ends_document: bool, counts: bool = True
    ) -> None:
        """Appends the tokens of a piece of text, which all count in the loss or all do not.

        Raises `TokenizerError` for an id outside the vocabulary.
        """
        values = np.array(ids, dtype=np.int64)
        if len(values) and not 0 <= values.min() <= values.max() < self._vocab_size:
            wrong = int(values[(values < 0) | (values >= self._vocab_size)][0])
            raise TokenizerError(f"the tokenizer made the token id {wrong}, but its vocab_size is {self._vocab_size}")
        if not self._in_document:
            self._starts.append(np.array([self._tokens.count]))
        self._tokens.append(values)
        if self._mask is not None:
            self._mask.append(np.full(len(values), counts))
        self._text_bytes += text_bytes
        self._characters += characters
        self._loss_bytes += text_bytes if counts else 0
        self._in_document = not ends_document

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "textBytes": self._text_bytes,
            "characters": self._characters,
            "lossBytes": self._loss_bytes,
            "tokens": self._tokens.metadata,
            "starts": self._starts.metadata,
            "mask": self._mask.metadata if self._mask is not None else None,
        }


@contextmanager
def token_writers(
    folder: Path, vocab_size: int, identity: Mapping[str, Any], *, masked: bool = False
) -> Iterator[tuple[TokenWriter, TokenWriter]]:
    """Opens the writers for training and validation tokens; the `with` block's end writes the metadata.

    `masked` makes room for tokens that do not count in the loss.
    """
    with ExitStack() as files:
        train, validation = (
            TokenWriter(
                files.enter_context(open(folder / f"{name}.tokens", "wb")),
                files.enter_context(open(folder / f"{name}.starts", "wb")),
                files.enter_context(open(folder / f"{name}.mask", "wb")) if masked else None,
                vocab_size,
            )
            for name in SPLITS
        )
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
    mask = None
    if metadata["mask"] is not None:
        mask = _open_column(folder / f"{name}.mask", metadata["mask"], np.dtype("u1"), 2)
        if len(mask) != len(tokens):
            raise DataError(f"`{name}.mask` is of {len(mask)} tokens instead of {len(tokens)}")
    return TokenSplit(
        tokens=tokens,
        document_starts=starts,
        text_bytes=int(metadata["textBytes"]),
        characters=int(metadata["characters"]),
        loss_bytes=int(metadata["lossBytes"]),
        loss_tokens=int(mask.sum()) if mask is not None else len(tokens),
        mask=mask,
    )


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
