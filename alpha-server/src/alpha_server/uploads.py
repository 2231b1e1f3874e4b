"""Files that come in chunks, and appear complete in the folders of their runs."""

import errno
import hashlib
import json
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from alpha_server.errors import RefusedError
from alpha_server.messages import is_safe_run_id

__all__ = ["Progress", "Uploads", "step_of"]

_CHECKPOINT = re.compile(r"checkpoint-(0|[1-9][0-9]{0,17})\.alph")
_JSON_FILES = ("config.json", "tokenizer.json")
_LARGEST_JSON = 1 << 28  # bytes; the largest vocabularies take some ten million


@attrs.frozen
class Progress:
    """How much of a file is here."""

    received: int
    is_complete: bool


@attrs.frozen
class _Target:
    """One file: where it will be, and where its beginning is until then."""

    path: Path
    part: Path
    sha256: bytes


class Uploads:
    """Receives `checkpoint-<step>.alph`, `config.json` and `tokenizer.json` into folders of runs.

    What has come of a file is a hidden file of its own, named after the checksum of the whole, so an upload goes on
    after any interruption of client or server, and the size of that file is all there is to know. A file gets its name
    when its checksum is right and its content is what its name says. For any number of threads of one process.
    """

    def __init__(self, folder: Path, largest: int) -> None:
        self._folder, self._largest = folder, largest
        self._locks: dict[Path, threading.Lock] = {}
        self._mutex = threading.Lock()

    def progress(self, run_id: str, name: str, sha256: bytes) -> Progress:
        """Returns how much of the file with this checksum is here. Raises `RefusedError` (400) for unsafe names."""
        with self._locked(run_id, name, sha256) as target:
            return _progress(target)

    def append(self, run_id: str, name: str, sha256: bytes, start: int, total: int, chunk: bytes) -> Progress:
        """Adds a chunk that has come undamaged, and returns how much of the file is here then.

        Raises `RefusedError`: 409 if the chunk does not begin where the file ends, 413 for a file that is too large,
        422 if all is here and the checksum is wrong, 400 if the content is not what the name says; in the last two
        cases nothing of the file remains. 507 if the disk is full.
        """
        if total > self._largest:
            raise RefusedError(413, f"a file may have {self._largest} bytes")
        with self._locked(run_id, name, sha256) as target:
            progress = _progress(target)
            if progress.is_complete:
                return progress
            if start != progress.received or start + len(chunk) > total:
                raise RefusedError(409, f"{progress.received} bytes are here", {"received": progress.received})
            try:
                _append(target.part, chunk)
                if start + len(chunk) < total:
                    return Progress(start + len(chunk), is_complete=False)
                _complete(target)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise RefusedError(507, "the disk of the server is full") from error
                raise RefusedError(503, f"the server cannot write: {error.strerror}") from error
            return Progress(total, is_complete=True)

    def path(self, run_id: str, name: str) -> Path:
        """Returns where a file is once it is complete."""
        return self._folder / run_id / name

    @contextmanager
    def _locked(self, run_id: str, name: str, sha256: bytes) -> Iterator[_Target]:
        if not is_safe_run_id(run_id):
            raise RefusedError(400, "that is no id of a run")
        if name not in _JSON_FILES and _CHECKPOINT.fullmatch(name) is None:
            raise RefusedError(400, f"a file is `checkpoint-<step>.alph`, `{'` or `'.join(_JSON_FILES)}`")
        path = self.path(run_id, name)
        part = path.with_name(f".{name}.{sha256.hex()[:16]}.part")
        with self._mutex:
            lock = self._locks.setdefault(path, threading.Lock())
        with lock:
            yield _Target(path, part, sha256)


def step_of(name: str) -> int | None:
    """Returns the step of a checkpoint by its name, None for another file."""
    match = _CHECKPOINT.fullmatch(name)
    return int(match[1]) if match is not None else None


def _progress(target: _Target) -> Progress:
    if target.path.is_file() and _sha256(target.path) == target.sha256:
        return Progress(target.path.stat().st_size, is_complete=True)
    received = target.part.stat().st_size if target.part.exists() else 0
    return Progress(received, is_complete=False)


def _append(part: Path, chunk: bytes) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    with open(part, "ab") as file:
        before = file.tell()
        try:
            file.write(chunk)
            file.flush()
        except OSError:
            os.ftruncate(file.fileno(), before)
            raise


def _complete(target: _Target) -> None:
    """Gives a file whose bytes are all here its name.

    Only now is anything fsynced: what a power cut takes of a part, the checksum of the whole notices.
    """
    _fsync(target.part)
    if _sha256(target.part) != target.sha256:
        target.part.unlink()
        raise RefusedError(422, "the checksum of the file is wrong", {"received": 0})
    try:
        _check_content(target.part, target.path.name)
    except ValueError as error:
        target.part.unlink()
        raise RefusedError(400, f"`{target.path.name}` {error}") from error
    target.part.replace(target.path)
    for other in target.path.parent.glob(f".{target.path.name}.*.part"):  # of a version that nobody sends any more
        other.unlink()
    _fsync(target.path.parent)


def _check_content(path: Path, name: str) -> None:
    """Raises `ValueError` for a file that is not what its name says."""
    size = path.stat().st_size
    if name in _JSON_FILES:
        if size > _LARGEST_JSON:
            raise ValueError(f"has more than {_LARGEST_JSON} bytes")
        _object(path.read_bytes())
        return
    with open(path, "rb") as file:
        start = file.read(8)
        if len(start) < 8 or start[:4] != b"ALPH":
            raise ValueError("does not begin with `ALPH`")
        (length,) = struct.unpack("<I", start[4:])
        if length > min(_LARGEST_JSON, size - 8):
            raise ValueError("ends within its header")
        _object(file.read(length))


def _object(data: bytes) -> None:
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError("holds no JSON object where one should be") from error
    if not isinstance(content, dict):
        raise ValueError("holds no JSON object where one should be")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
