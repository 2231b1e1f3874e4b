"""The safetensors format: named arrays in one file, and never code.

    bytes 0-7     N, the length of the header: unsigned 64-bit, little-endian
    N bytes       header: one JSON object, UTF-8, that begins with `{` and may end with spaces
    the rest      the numbers of all tensors, little-endian and row-major, without gaps

The header maps names to `{"dtype", "shape", "data_offsets": [begin, end]}`, and `__metadata__` to an object of texts.
Source: the specification in the README of the `safetensors` package.
"""

import json
import math
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.errors import CheckpointError
from alpha_interchange.numbers import DTYPE_SIZES, to_f32
from alpha_train.atomic_file import atomic_write

__all__ = ["SafetensorsFile", "open_safetensors", "write_safetensors"]

_METADATA = "__metadata__"
_LONGEST_HEADER = 100_000_000  # bytes, the limit of the specification
_ALIGNMENT = 8
_MOST_DIMENSIONS = 32
_MOST_BYTES = 1 << 50
_STORED = np.dtype("<f4")


@attrs.frozen
class _Entry:
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Bytes from the beginning of the file."""
    end: int


@attrs.frozen
class SafetensorsFile:
    """A file whose header was read and checked; tensors are read when they are asked for."""

    path: Path
    metadata: Mapping[str, str]
    entries: Mapping[str, _Entry]

    @property
    def names(self) -> Sequence[str]:
        return tuple(self.entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor, which must be there."""
        return self.entries[name].shape

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """Returns a tensor, which must be there, as float32. Raises `CheckpointError` if it holds no floats."""
        entry = self.entries[name]
        try:
            with open(self.path, "rb") as file:
                file.seek(entry.begin)
                data = file.read(entry.end - entry.begin)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if len(data) < entry.end - entry.begin:
            raise _damaged(self.path, f"it ends within tensor `{name}`")
        array = to_f32(data, entry.dtype)
        if array is None:
            raise CheckpointError(f"tensor `{name}` of `{self.path}` is of dtype `{entry.dtype}`, and holds no weights")
        return array.reshape(entry.shape)


def open_safetensors(path: Path) -> SafetensorsFile:
    """Reads and checks the header of a file. Raises `CheckpointError`, in one line, if it is damaged or is none."""
    try:
        with open(path, "rb") as file:
            return _read(path, file, os.fstat(file.fileno()).st_size)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file `{path}`") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def write_safetensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Writes tensors as float32; the file is there completely or not at all. Raises `CheckpointError`."""
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    place = 0
    for name, array in tensors.items():
        end = place + array.size * _STORED.itemsize
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > _LONGEST_HEADER:
        raise CheckpointError(f"`{path}` would have a header of {len(text)} bytes, more than {_LONGEST_HEADER}")
    try:
        with atomic_write(path) as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for array in tensors.values():
                file.write(np.ascontiguousarray(array, _STORED).reshape(-1).view(np.uint8).data)
    except OSError as error:
        raise CheckpointError(
            f"`{path}` cannot be written: {error.strerror}", hint="make room, or check the folder"
        ) from error


def _read(path: Path, file: BinaryIO, size: int) -> SafetensorsFile:
    start = file.read(8)
    if len(start) < 8:
        raise _damaged(path, f"it has {size} bytes")
    (length,) = struct.unpack("<Q", start)
    if length > min(_LONGEST_HEADER, size - 8):
        raise _damaged(path, f"its header should have {length} bytes, of a file of {size}")
    data = file.read(length)
    if not data.startswith(b"{"):
        raise _damaged(path, "its header does not begin with `{`")
    try:
        header = json.loads(data.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is no valid JSON: {error}") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no JSON object")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, f"`{_METADATA}` of its header is no object of texts")
    entries = {name: _entry(path, name, row, 8 + length) for name, row in header.items()}
    place = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != place:
            raise _damaged(path, f"tensor `{name}` does not begin where the one before it ends")
        place = entry.end
    if place != size:
        raise _damaged(path, f"it has {size} bytes instead of {place}")
    return SafetensorsFile(path, metadata, entries)


def _entry(path: Path, name: str, row: Any, start: int) -> _Entry:
    if not name or not name.isprintable():
        raise _damaged(path, "a tensor has no name, or none that can be printed")
    if not isinstance(row, dict) or not {"dtype", "shape", "data_offsets"} == row.keys():
        raise _damaged(path, f"tensor `{name}` has no `dtype`, `shape` and `data_offsets`, or more than these")
    dtype, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
    size = DTYPE_SIZES.get(dtype) if isinstance(dtype, str) else None
    if size is None:
        raise _damaged(path, f"tensor `{name}` has an unknown dtype")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not all(map(_is_length, shape)):
        raise _damaged(path, f"the shape of tensor `{name}` is no list of lengths")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_length, offsets)):
        raise _damaged(path, f"the `data_offsets` of tensor `{name}` are no two places")
    begin, end = offsets
    if math.prod(max(length, 1) for length in shape) > _MOST_BYTES or end - begin != math.prod(shape) * size:
        raise _damaged(path, f"the `data_offsets` of tensor `{name}` do not fit its shape")
    return _Entry(dtype, tuple(shape), start + begin, start + end)


def _is_length(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_BYTES


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return content


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"`{path}` is no safetensors file that can be used: {reason}")


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(f"`{path}` cannot be read: {error.strerror}")
