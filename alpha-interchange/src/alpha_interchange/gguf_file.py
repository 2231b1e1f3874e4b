"""Reading GGUF, the format of llama.cpp, version 3, with every length checked before it is used.

    bytes 0-3     `GGUF`
    then          version (u32), number of tensors (u64), number of metadata (u64), little-endian
    metadata      each a name (text), a type (u32) and a value; a text is its length (u64) and its bytes
    tensors       each a name, the number of dimensions (u32), the dimensions (u64, innermost first), a type (u32), and
                  where it begins in the data (u64)
    data          begins at a multiple of `general.alignment` (32), and so does each tensor

Source: `docs/gguf.md` of ggml. Alpha writes with the package `gguf`, and reads what it wrote with this.
"""

import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.errors import CheckpointError
from alpha_interchange.numbers import to_f32

__all__ = ["GgufFile", "open_gguf"]

_VERSION = 3
_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9
_DTYPES = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}
_SIZES = {"F32": 4, "F16": 2, "F64": 8, "BF16": 2}
_LONGEST_NAME = 256
_MOST_DIMENSIONS = 4
_MOST_ELEMENTS = 1 << 48
_LARGEST_ALIGNMENT = 1 << 16


@attrs.frozen
class _Entry:
    dtype: str
    shape: tuple[int, ...]
    """Row-major, outermost first."""
    begin: int
    """Bytes from the beginning of the file."""


@attrs.frozen
class GgufFile:
    """A file whose metadata and list of tensors were read and checked."""

    path: Path
    metadata: Mapping[str, Any]
    """Texts, numbers, and lists of these."""
    entries: Mapping[str, _Entry]

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """Returns a tensor, which must be there, as float32. Raises `CheckpointError` if the file cannot be read."""
        entry = self.entries[name]
        size = math.prod(entry.shape) * _SIZES[entry.dtype]
        try:
            with open(self.path, "rb") as file:
                file.seek(entry.begin)
                data = file.read(size)
        except OSError as error:
            raise CheckpointError(f"`{self.path}` cannot be read: {error.strerror}") from error
        array = to_f32(data, entry.dtype)
        if array is None or len(data) < size:
            raise CheckpointError(f"`{self.path}` ends within tensor `{name}`")
        return array.reshape(entry.shape)


def open_gguf(path: Path) -> GgufFile:
    """Reads metadata and the list of tensors. Raises `CheckpointError`, in one line, for a file that is damaged."""
    try:
        with open(path, "rb") as file:
            return _Reader(path, file).read()
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file `{path}`") from error
    except OSError as error:
        raise CheckpointError(f"`{path}` cannot be read: {error.strerror}") from error


class _Reader:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.size = os.fstat(file.fileno()).st_size

    def read(self) -> GgufFile:
        if self._bytes(4) != b"GGUF":
            raise self._damaged("it does not begin with `GGUF`")
        version = self._number("<I")
        if version != _VERSION:
            raise self._damaged(f"it is of version {version}, and only {_VERSION} can be read")
        tensor_count, metadata_count = self._number("<Q"), self._number("<Q")
        metadata: dict[str, Any] = {}
        for _ in range(self._count(metadata_count, 13)):
            name = self._name()
            if name in metadata:
                raise self._damaged(f"it has `{name}` twice")
            metadata[name] = self._value(self._number("<I"))
        rows = [self._tensor() for _ in range(self._count(tensor_count, 32))]
        return GgufFile(self.path, metadata, self._placed(rows, metadata.get("general.alignment", 32)))

    def _placed(self, rows: list[tuple[str, _Entry]], alignment: Any) -> dict[str, _Entry]:
        """Returns the tensors with their places in the file, which lie apart from each other and within it."""
        if type(alignment) is not int or not 0 < alignment <= _LARGEST_ALIGNMENT or alignment % 8:
            raise self._damaged("its alignment is no multiple of 8")
        start = -(-self.file.tell() // alignment) * alignment
        entries = {name: attrs.evolve(entry, begin=start + entry.begin) for name, entry in rows}
        if len(entries) < len(rows):
            raise self._damaged("two of its tensors have one name")
        place = start
        for name, entry in sorted(entries.items(), key=lambda item: item[1].begin):
            if entry.begin < place or entry.begin % alignment:
                raise self._damaged(f"tensor `{name}` begins where it cannot")
            place = entry.begin + math.prod(entry.shape) * _SIZES[entry.dtype]
        if place > self.size:
            raise self._damaged(f"it has {self.size} bytes instead of {place}")
        return entries

    def _tensor(self) -> tuple[str, _Entry]:
        name = self._name()
        dimensions = self._number("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise self._damaged(f"tensor `{name}` has {dimensions} dimensions")
        shape = tuple(reversed([self._number("<Q") for _ in range(dimensions)]))
        kind, begin = self._number("<I"), self._number("<Q")
        if kind not in _DTYPES:
            raise self._damaged(f"tensor `{name}` is of type {kind}, which cannot be read")
        if math.prod(max(length, 1) for length in shape) > _MOST_ELEMENTS:
            raise self._damaged(f"the shape of tensor `{name}` is too large")
        return name, _Entry(_DTYPES[kind], shape, begin)

    def _value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self._text()
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind != _ARRAY:
            raise self._damaged(f"it has a value of type {kind}")
        inner, length = self._number("<I"), self._number("<Q")
        if inner == _TEXT:
            return [self._text() for _ in range(self._count(length, 8))]
        if inner not in _NUMBERS:
            raise self._damaged(f"it has a list of type {inner}")
        size = struct.calcsize(_NUMBERS[inner])
        return [
            value for (value,) in struct.iter_unpack(_NUMBERS[inner], self._bytes(self._count(length, size) * size))
        ]

    def _name(self) -> str:
        name = self._text()
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise self._damaged("it has a name that is empty, too long, or cannot be printed")
        return name

    def _text(self) -> str:
        data = self._bytes(self._number("<Q"))
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self._damaged("it has a text that is not UTF-8") from error

    def _number(self, format: str) -> Any:
        (value,) = struct.unpack(format, self._bytes(struct.calcsize(format)))
        return value

    def _count(self, count: int, smallest: int) -> int:
        """Returns a number of things if the rest of the file can hold as many, of `smallest` bytes at least."""
        if count * smallest > self.size - self.file.tell():
            raise self._damaged(f"it should hold {count} of something, and has too few bytes")
        return count

    def _bytes(self, count: int) -> bytes:
        if count > self.size - self.file.tell():
            raise self._damaged("it ends too early")
        return self.file.read(count)

    def _damaged(self, reason: str) -> CheckpointError:
        return CheckpointError(f"`{self.path}` is no GGUF file that can be used: {reason}")
