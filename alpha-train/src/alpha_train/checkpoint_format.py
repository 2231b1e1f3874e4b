"""The `ALPH` checkpoint format, version 2: how the bytes of a checkpoint lie.

    bytes 0-3     `ALPH`
    bytes 4-7     N, the length of the header: unsigned 32-bit, little-endian
    N bytes       header: one JSON object, UTF-8
    the rest      payload: the numbers of all tensors in the header's order, little-endian and without gaps

The header's `tensors` lists `{"name", "shape", "elements"}`, with `"dtype": "f64"` for tensors that are not float32.
Its last two keys are `payloadSha256` and `headerSha256`; the latter covers all bytes of the file up to itself, so that
the header can be trusted without reading the payload. Files without `formatVersion` and checksums are read as well: the
first version of Alpha wrote them.
"""

import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, TypeGuard

import attrs
import numpy as np
import numpy.typing as npt

__all__ = ["FORMAT_VERSION", "FormatError", "Header", "TensorEntry", "read_header", "read_tensors", "write_file"]

FORMAT_VERSION = 2

_MAGIC = b"ALPH"
_LONGEST_HEADER = 1 << 28  # bytes; the largest vocabularies take a few million
_LONGEST_NAME = 256
_MOST_DIMENSIONS = 32
_MOST_ELEMENTS = 1 << 48
_READ_AT_ONCE = 1 << 26  # bytes
_DTYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype("<f4"), "f64": np.dtype("<f8")}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_HEADER_END = re.compile(rb',"headerSha256":"([0-9a-f]{64})"\}\Z')


class FormatError(ValueError):
    """Bytes that are no checkpoint, or numbers that a checkpoint cannot hold."""


@attrs.frozen
class TensorEntry:
    """Where the header says that a tensor lies."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@attrs.frozen
class Header:
    """What stands before the payload."""

    fields: Mapping[str, Any]
    tensors: tuple[TensorEntry, ...]
    payload_sha256: str | None
    """None in a file of the first version, which has no checksums."""


def write_file(file: BinaryIO, fields: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes a checkpoint. Raises `FormatError` for fields that are no JSON and tensors that are not f32 or f64."""
    entries = [_entry_of(name, array) for name, array in tensors.items()]
    payload = hashlib.sha256()
    for entry, array in zip(entries, tensors.values(), strict=True):
        payload.update(_bytes_of(entry, array))
    content = {
        "formatVersion": FORMAT_VERSION,
        **fields,
        "tensors": list(map(_json_of, entries)),
        "payloadSha256": payload.hexdigest(),
    }
    try:
        body = json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"its header would be no valid JSON: {error}") from error
    end = b',"headerSha256":"%s"}'
    length = len(body) - len(b"}") + len(end % (b"0" * 64))
    if length > _LONGEST_HEADER:
        raise FormatError(f"its header would have {length} bytes, more than {_LONGEST_HEADER}")
    start = _MAGIC + struct.pack("<I", length) + body[:-1]
    file.write(start + end % hashlib.sha256(start).hexdigest().encode())
    for entry, array in zip(entries, tensors.values(), strict=True):
        file.write(_bytes_of(entry, array))


def read_header(file: BinaryIO, file_size: int) -> Header:
    """Reads and checks the header, and that the file has the length which that implies. Raises `FormatError`."""
    start = file.read(8)
    if start[:4] != _MAGIC:
        raise FormatError("it does not begin with `ALPH`")
    if len(start) < 8:
        raise FormatError("it ends within the length of its header")
    (length,) = struct.unpack("<I", start[4:])
    if length > min(_LONGEST_HEADER, file_size - 8):
        raise FormatError(f"its header should have {length} bytes, of a file of {file_size}")
    data = file.read(length)
    fields = _parse(data)
    end = _HEADER_END.search(data)
    if end is not None:
        if hashlib.sha256(start + data[: end.start()]).hexdigest().encode() != end[1]:
            raise FormatError("the checksum of its header is wrong")
    elif "formatVersion" in fields or "headerSha256" in fields:
        raise FormatError("its header has no valid checksum")
    _check_version(fields)
    tensors = _entries(fields)
    expected = 8 + length + sum(entry.nbytes for entry in tensors)
    if file_size != expected:
        raise FormatError(f"it has {file_size} bytes instead of {expected}")
    return Header(fields, tensors, fields["payloadSha256"] if end is not None else None)


def read_tensors(file: BinaryIO, header: Header) -> dict[str, npt.NDArray[Any]]:
    """Reads the payload, which `file` must stand at, into arrays of the host's byte order. Raises `FormatError`."""
    digest = hashlib.sha256()
    tensors: dict[str, npt.NDArray[Any]] = {}
    for entry in header.tensors:
        array = np.empty(entry.shape, entry.dtype)
        data = _view(array)
        for place in range(0, len(data), _READ_AT_ONCE):
            part = data[place : place + _READ_AT_ONCE]
            if file.readinto(part) != len(part):  # type: ignore[attr-defined]
                raise FormatError(f"it ends within tensor `{entry.name}`")
            digest.update(part)
        tensors[entry.name] = array.astype(entry.dtype.newbyteorder("="), copy=False)
    if header.payload_sha256 not in (None, digest.hexdigest()):
        raise FormatError("the checksum of its tensors is wrong")
    return tensors


def _entry_of(name: str, array: npt.NDArray[Any]) -> TensorEntry:
    if not _is_name(name):
        raise FormatError(f"a tensor's name cannot be {name!r}: up to {_LONGEST_NAME} printable characters")
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _DTYPE_NAMES:
        raise FormatError(
            f"tensor `{name}` would be of dtype `{array.dtype}`, and only float32 and float64 can be stored"
        )
    return TensorEntry(name, array.shape, dtype)


def _bytes_of(entry: TensorEntry, array: npt.NDArray[Any]) -> memoryview:
    return _view(np.ascontiguousarray(array, entry.dtype))


def _view(array: npt.NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _json_of(entry: TensorEntry) -> dict[str, Any]:
    listed = {"name": entry.name, "shape": list(entry.shape), "elements": math.prod(entry.shape)}
    name = _DTYPE_NAMES[entry.dtype]
    return listed if name == "f32" else {**listed, "dtype": name}


def _parse(data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"its header is no valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise FormatError("its header is no JSON object")
    return content


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return content


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _check_version(fields: Mapping[str, Any]) -> None:
    version = fields.get("formatVersion", FORMAT_VERSION)
    if type(version) is not int or version < 1:
        raise FormatError("its format version is no version")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"it has format version {version}, and this Alpha reads up to {FORMAT_VERSION}: upgrade Alpha"
        )
    if "formatVersion" in fields and not isinstance(fields.get("payloadSha256"), str):
        raise FormatError("its header has no checksum of the tensors")


def _entries(fields: Mapping[str, Any]) -> tuple[TensorEntry, ...]:
    listed = fields.get("tensors")
    if not isinstance(listed, list):
        raise FormatError("its header has no list `tensors`")
    entries = tuple(map(_entry, listed))
    names = {entry.name for entry in entries}
    if len(names) < len(entries):
        raise FormatError("two of its tensors have one name")
    return entries


def _entry(row: Any) -> TensorEntry:
    if not isinstance(row, dict):
        raise FormatError("an entry of `tensors` is no JSON object")
    name, shape, elements, dtype = row.get("name"), row.get("shape"), row.get("elements"), row.get("dtype", "f32")
    if not _is_name(name):
        raise FormatError("a tensor has no name, or none that can be printed")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not all(map(_is_length, shape)):
        raise FormatError(f"the shape of tensor `{name}` is no list of lengths")
    if math.prod(max(length, 1) for length in shape) > _MOST_ELEMENTS:
        raise FormatError(f"the shape of tensor `{name}` is too large")
    if type(elements) is not int or elements != math.prod(shape):
        raise FormatError(f"the number of elements of tensor `{name}` is not the product of its shape")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise FormatError(f"tensor `{name}` has an unknown dtype")
    return TensorEntry(name, tuple(shape), _DTYPES[dtype])


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()


def _is_length(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_ELEMENTS
