"""Token shards: `.bin` files of token ids, as nanoGPT and llm.c write and read them.

| format | header | ids |
|---|---|---|
| nanoGPT | none | uint16 |
| llm.c, GPT-2 | 256 int32: magic 20240520, version 1, number of tokens, zeros | uint16 |
| llm.c, Llama 3 | 256 int32: magic 20240801, version 7, number of tokens, zeros | uint32 |

Everything is little-endian. Sources: `data/openwebtext/prepare.py` of nanoGPT, `dev/data/data_common.py` of llm.c.
"""

import codecs
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from alpha_core.errors import DataError
from alpha_train.atomic_file import atomic_write
from alpha_train.data.token_ids import IdArray

__all__ = ["LLMC_GPT2", "LLMC_LLAMA3", "NANOGPT", "Shard", "ShardFormat", "open_shard", "write_shard"]

_HEADER = np.dtype("<i4")
_HEADER_FIELDS = 256
_HEADER_BYTES = _HEADER_FIELDS * _HEADER.itemsize
_OTHER_FILES = {20240326: "a model", 20240328: "a tokenizer", 20240522: "questions for an evaluation"}
_CHECKED_AT_ONCE = 1 << 20  # tokens


@attrs.frozen
class ShardFormat:
    """How a shard stores its tokens; `magic` None means without a header."""

    name: str
    dtype: np.dtype[Any]
    magic: int | None = None
    version: int = 0

    @property
    def header_bytes(self) -> int:
        return 0 if self.magic is None else _HEADER_BYTES


NANOGPT = ShardFormat("nanoGPT", np.dtype("<u2"))
LLMC_GPT2 = ShardFormat("llm.c (GPT-2)", np.dtype("<u2"), 20240520, 1)
LLMC_LLAMA3 = ShardFormat("llm.c (Llama 3)", np.dtype("<u4"), 20240801, 7)
_WITH_HEADER = {format.magic: format for format in (LLMC_GPT2, LLMC_LLAMA3)}


@attrs.frozen(eq=False)
class Shard:
    """The tokens of one file, memory-mapped."""

    format: ShardFormat
    tokens: IdArray
    crc32: int
    """Of the tokens, so that a change of the file can be told."""


def open_shard(path: Path, vocab_size: int, progress: Callable[[int], None] = lambda count: None) -> Shard:
    """Maps a shard into memory, after checking its header, its length, and every id against `vocab_size`.

    `progress` is told the number of bytes that are checked so far. Raises `DataError` with the reason.
    """
    try:
        return _open(path, vocab_size, progress)
    except OSError as error:
        raise DataError(f"`{path}` cannot be read: {error.strerror}") from error


def write_shard(path: Path, format: ShardFormat, count: int, blocks: Iterable[IdArray]) -> int:
    """Writes `count` tokens, which must fit the format, and returns their CRC-32. Raises `OSError`."""
    checksum, written = 0, 0
    with atomic_write(path) as file:
        if format.magic is not None:
            header = np.zeros(_HEADER_FIELDS, _HEADER)
            header[:3] = format.magic, format.version, count
            file.write(header.tobytes())
        for block in blocks:
            data = block.astype(format.dtype).tobytes()
            checksum = zlib.crc32(data, checksum)
            file.write(data)
            written += len(block)
        if written != count:
            raise ValueError(f"{written} tokens came instead of {count}")
    return checksum


def _open(path: Path, vocab_size: int, progress: Callable[[int], None]) -> Shard:
    size = path.stat().st_size
    with open(path, "rb") as file:  # not through the map, whose pages would count as memory of this process
        format = _format_of(path, file.read(2 * _HEADER_BYTES), size)
        file.seek(format.header_bytes)
        checksum, checked = 0, 0
        while len(block := np.fromfile(file, format.dtype, _CHECKED_AT_ONCE)) > 0:
            checksum = zlib.crc32(block.data, checksum)
            if int(block.max()) >= vocab_size:
                place = checked + int(np.argmax(block >= vocab_size))
                raise DataError(
                    f"`{path}` holds the token id {int(block[place - checked])} at place {place}, and the tokenizer has"
                    f" the ids below {vocab_size}",
                    hint="name the tokenizer that the shard was made with, as a `tokenizer.json`",
                )
            checked += len(block)
            progress(checked * format.dtype.itemsize)
    return Shard(format, np.memmap(path, format.dtype, mode="r", offset=format.header_bytes), checksum)


def _format_of(path: Path, start: bytes, size: int) -> ShardFormat:
    """Returns the format of a file of `size` bytes that begins with `start`."""
    if size == 0:
        raise DataError(f"`{path}` is empty")
    header = np.frombuffer(start[: len(start[:_HEADER_BYTES]) // 4 * 4], _HEADER)
    magic = int(header[0]) if len(header) else 0
    format = _WITH_HEADER.get(magic)
    if format is None:
        _check_headerless(path, start, size, header)
        return NANOGPT
    if len(header) < _HEADER_FIELDS:
        raise DataError(f"`{path}` ends within its header: it has {size} of {_HEADER_BYTES} bytes")
    version, count, rest = int(header[1]), int(header[2]), header[3:]
    if version != format.version:
        raise DataError(f"`{path}` is of version {version} of {format.name}, and only {format.version} can be read")
    if rest.any():
        raise DataError(f"the header of `{path}` is damaged: its field {3 + int(np.argmax(rest != 0))} is not 0")
    expected = _HEADER_BYTES + count * format.dtype.itemsize
    if count < 1 or size != expected:
        raise DataError(f"`{path}` has {size} bytes, and should have {expected} for the {count} tokens of its header")
    return format


def _check_headerless(path: Path, start: bytes, size: int, header: np.ndarray[Any, Any]) -> None:
    """Raises `DataError` if a file without a magic is something other than ids alone."""
    if len(header) == _HEADER_FIELDS and not header[4:].any() and header[:4].any():
        what = _OTHER_FILES.get(int(header[0]))
        reason = f"holds {what}" if what is not None else f"has a header with the unknown magic {int(header[0])}"
        raise DataError(f"`{path}` is no token shard: it {reason}")
    if _is_text(start):
        raise DataError(f"`{path}` is no token shard: it holds text", hint="give it a name that ends in `.txt`")
    if size % NANOGPT.dtype.itemsize:
        raise DataError(f"`{path}` has {size} bytes, which is no whole number of uint16 ids")


def _is_text(start: bytes) -> bool:
    """Tells whether a file begins like text, which ids of more than a few tokens never do."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return len(text) >= 32 and all(character.isprintable() or character.isspace() for character in text)
