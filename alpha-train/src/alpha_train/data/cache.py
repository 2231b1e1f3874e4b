"""The cache folder: tokens and trained tokenizers, each under the hash of all that it was made from.

It is `$ALPHA_CACHE`, or `alpha` in the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`). Everything in it can
be deleted at any time. Processes may use it at once: an entry appears complete, by renaming, and is not changed after.
"""

import atexit
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from alpha_core.errors import AlphaError
from alpha_core.registry import reason_of
from alpha_core.tokenizer import Tokenizer

__all__ = ["Cache", "canonical_hash", "code_of"]

T = TypeVar("T")

_BUILDING = ".building-"
_ABANDONED_AFTER = 24 * 3600.0  # seconds; a process that was killed leaves its unfinished folder behind


class Cache:
    """A folder with entries; another, temporary one takes its place if it cannot be written."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else _default_folder()
        self.notes: list[str] = []

    def path(self, kind: str, key: str) -> Path:
        """Returns where the entry of `kind` with `key` stands, if it is there."""
        return self.folder / kind / key

    def find(self, kind: str, key: str, read: Callable[[Path], T]) -> T | None:
        """Returns what `read` makes of an entry's folder, or None if there is no entry.

        If `read` raises `AlphaError` or `OSError` the entry is damaged: a note tells, and it is removed.
        """
        path = self.path(kind, key)
        if not os.path.exists(path):
            return None
        try:
            return read(path)
        except (AlphaError, OSError) as error:
            self.notes.append(f"an entry in the cache is damaged and made anew: {reason_of(error)}")
            self._remove(kind, key)
            return None

    def publish(self, kind: str, key: str, build: Callable[[Path], None]) -> Path:
        """Makes an entry: `build` fills the new folder that it is given. Returns the folder of the finished entry.

        An entry that another process made in the meantime stays. Raises `OSError`, for example when the disk is full.
        """
        building = self._new_folder(kind)
        target = self.path(kind, key)
        try:
            build(building)
            try:
                building.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return target

    def _remove(self, kind: str, key: str) -> None:
        trash = self._new_folder(kind)
        with suppress(FileNotFoundError):  # another process was faster
            self.path(kind, key).rename(trash / key)
        shutil.rmtree(trash, ignore_errors=True)

    def _new_folder(self, kind: str) -> Path:
        """Makes a folder to build an entry in, beside the entries, so that it can be renamed."""
        try:
            return _make_folder(self.folder / kind)
        except OSError as error:
            temporary = Path(tempfile.mkdtemp(prefix="alpha-cache-"))
            atexit.register(shutil.rmtree, temporary, ignore_errors=True)
            self.notes.append(
                f"the cache folder `{self.folder}` cannot be written ({error.strerror}): tokens are kept in a temporary"
                " folder for this run; set `ALPHA_CACHE` to a folder that can be written"
            )
            self.folder = temporary
            return _make_folder(self.folder / kind)


def canonical_hash(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of JSON values, hexadecimal; equal contents have equal hashes."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def code_of(tokenizer: type[Tokenizer]) -> str:
    """Returns the class and the version of its package, so that a new version makes its tokens anew."""
    package = tokenizer.__module__.partition(".")[0]
    try:
        version = metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        version = "unknown"
    return f"{tokenizer.__module__}.{tokenizer.__qualname__} {version}"


def _make_folder(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for other in parent.glob(f"{_BUILDING}*"):
        if _age(other) > _ABANDONED_AFTER:
            shutil.rmtree(other, ignore_errors=True)
    folder = parent / f"{_BUILDING}{secrets.token_hex(8)}"
    folder.mkdir()
    return folder


def _age(path: Path) -> float:
    """Returns the seconds since anything was made in a folder."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _default_folder() -> Path:
    if os.environ.get("ALPHA_CACHE"):
        return Path(os.environ["ALPHA_CACHE"])
    if os.path.isabs(os.environ.get("XDG_CACHE_HOME", "")):
        return Path(os.environ["XDG_CACHE_HOME"], "alpha")
    home = os.path.expanduser("~")
    return Path(home if os.path.isabs(home) else os.sep, ".cache", "alpha")  # `/` is home to a user without an entry
