"""A cache on disk, such as of compiled kernels. Nothing in it is needed: what is missing or damaged is made again."""

import hashlib
import os
import tempfile
from pathlib import Path

__all__ = ["FileCache"]

_MAGIC = b"ALPHAOBJ"
_DIGEST_BYTES = 32


class FileCache:
    """One file for each entry, written beside and renamed, so that processes may share the folder at any time."""

    def __init__(self, name: str, folder: Path | None = None, suffix: str = ".o") -> None:
        """Takes the folder `name` in Alpha's cache folder, which is `$ALPHA_CACHE` or `alpha` in the user's."""
        self.folder = folder or _cache_folder() / name
        self._suffix = suffix
        self._writable = True

    def read(self, key: str) -> bytes | None:
        """Returns the contents of an entry, or None if it is not there whole."""
        try:
            stored = (self.folder / key[:2] / f"{key}{self._suffix}").read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + _DIGEST_BYTES
        contents = stored[start:]
        whole = stored[: len(_MAGIC)] == _MAGIC and hashlib.sha256(contents).digest() == stored[len(_MAGIC) : start]
        return contents if whole and contents else None

    def write(self, key: str, contents: bytes) -> None:
        """Stores an entry; where the folder cannot be written, this process goes on without."""
        if not self._writable:
            return
        path = self.folder / key[:2] / f"{key}{self._suffix}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(contents).digest() + contents)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError:
            self._writable = False


def _cache_folder() -> Path:
    if os.environ.get("ALPHA_CACHE"):
        return Path(os.environ["ALPHA_CACHE"]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "alpha"
