"""Compiled kernels on disk. Nothing in it is needed: whatever is missing or damaged is compiled again."""

import hashlib
import os
import tempfile
from pathlib import Path

__all__ = ["ObjectCache"]

_MAGIC = b"ALPHAOBJ"
_DIGEST_BYTES = 32


class ObjectCache:
    """One file for each kernel, written beside and renamed, so that processes may share the folder at any time."""

    def __init__(self, folder: Path | None = None) -> None:
        """Takes `kernels` in Alpha's cache folder: `$ALPHA_CACHE`, or `alpha` in the user's cache folder."""
        self.folder = folder or _cache_folder() / "kernels"
        self._writable = True

    def read(self, key: str) -> bytes | None:
        """Returns the object code, or None if it is not there whole."""
        try:
            stored = (self.folder / key[:2] / f"{key}.o").read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + _DIGEST_BYTES
        code = stored[start:]
        whole = stored[: len(_MAGIC)] == _MAGIC and hashlib.sha256(code).digest() == stored[len(_MAGIC) : start]
        return code if whole and code else None

    def write(self, key: str, code: bytes) -> None:
        """Stores object code; where the folder cannot be written, this process goes on without."""
        if not self._writable:
            return
        path = self.folder / key[:2] / f"{key}.o"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(code).digest() + code)
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
