"""What a run folder holds, read without the package that wrote it."""

import hashlib
import json
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

__all__ = ["LOGS", "RunFiles", "folders_in"]

LOGS = ("metrics.jsonl", "events.jsonl", "samples.jsonl")
_CONFIG = "config.json"
_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,18})\.alph")
_BEGINNING = 256  # bytes of a log by which it is recognized
_LONGEST_HEADER = 1 << 28  # of a checkpoint


@attrs.frozen
class LogLine:
    """A line of a log: where it ends, and the object in it, None if it cannot be read."""

    end: int
    content: dict[str, Any] | None


@attrs.frozen
class RunFiles:
    """The files of a run. Methods raise `OSError` for what cannot be read, but for files that are not there."""

    path: Path

    @property
    def run_id(self) -> str:
        return self.path.resolve().name

    @property
    def is_training(self) -> bool:
        """Whether a trainer is in the folder, or was there when it was killed."""
        return (self.path / "trainer.json").exists()

    def config(self) -> dict[str, Any] | None:
        """Returns the content of `config.json`, None if it is damaged."""
        return _object((self.path / _CONFIG).read_bytes())

    def modified(self) -> float:
        """Returns when something last changed that is stored: seconds since 1970."""
        names = (_CONFIG, *LOGS, ".")
        return max(self._modified(name) for name in names)

    def beginning(self, log: str) -> str:
        """Returns a hash of how a log begins, by which another file of that name is noticed."""
        try:
            with open(self.path / log, "rb") as file:
                return hashlib.sha256(file.read(_BEGINNING).partition(b"\n")[0]).hexdigest()[:16]
        except FileNotFoundError:
            return ""

    def lines(self, log: str, *, position: int = 0) -> Iterator[LogLine]:
        """Yields the complete lines of a log from a position on; a last line without its end is left for later."""
        try:
            file = open(self.path / log, "rb")  # noqa: SIM115 (the caller's loop runs while it is open)
        except FileNotFoundError:
            return
        with file:
            file.seek(position)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                position += len(line)
                yield LogLine(position, _object(line))

    def size(self, log: str) -> int:
        """Returns the size of a log in bytes, 0 if it is not there."""
        try:
            return (self.path / log).stat().st_size
        except FileNotFoundError:
            return 0

    def checkpoints(self) -> dict[int, Path]:
        """Returns the checkpoint files by step, ascending."""
        found = {int(match[1]): path for path in self.path.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))}
        return dict(sorted(found.items()))

    def parameters(self) -> int | None:
        """Returns the number of parameters, as the header of a checkpoint says; None if no checkpoint does."""
        for path in self.checkpoints().values():
            header = _header(path)
            tensors = header.get("tensors") if header is not None else None
            if isinstance(tensors, list):
                sizes: list[Any] = [
                    tensor.get("elements")
                    for tensor in tensors
                    if isinstance(tensor, dict) and str(tensor.get("name")).startswith("p.")
                ]
                if sizes and all(type(size) is int for size in sizes):
                    return int(sum(sizes))
        return None

    def _modified(self, name: str) -> float:
        try:
            return (self.path / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0


def folders_in(runs: Path) -> list[RunFiles]:
    """Returns the run folders below a folder, by name."""
    try:
        entries = sorted(os.scandir(runs), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [RunFiles(Path(entry.path)) for entry in entries if os.path.isfile(os.path.join(entry.path, _CONFIG))]


def _header(path: Path) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            if len(start) < 8 or start[:4] != b"ALPH":
                return None
            (length,) = struct.unpack("<I", start[4:])
            return _object(file.read(length)) if length <= _LONGEST_HEADER else None
    except OSError:
        return None


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
