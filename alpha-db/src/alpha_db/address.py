"""Where a database is: a file, or a server with a token that is never shown."""

import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import attrs

from alpha_core.environment import ENVIRONMENT_FILE, environment_value
from alpha_core.errors import UsageError

__all__ = ["FILE_NAME", "TOKEN_VARIABLE", "URL_VARIABLE", "Address", "default_address"]

FILE_NAME = "alpha.db"
"""The database in the folder of the runs, where no other is named."""
URL_VARIABLE, TOKEN_VARIABLE = "TURSO_DATABASE_URL", "TURSO_AUTH_TOKEN"

_REMOTE = ("libsql", "http", "https", "ws", "wss")
_KINDS = "`file:`, `libsql://`, `http://`, `https://`, `ws://` or `wss://`"


@attrs.frozen
class Address:
    """A URL of a database. Its text form can be shown to anyone: tokens and passwords are no part of it."""

    url: str
    """`file:PATH`, or `http`, `https`, `ws` or `wss` with host, port and path."""
    token: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, text: str, *, token: str | None = None) -> "Address":
        """Reads a URL; a text without a scheme is the path of a file.

        `libsql://` becomes `https://` (`http://` with `?tls=0`), as in libSQL's current clients: servers of Turso
        refuse WebSockets. Raises `UsageError` for schemes that libSQL has not, and for secrets within the URL.
        """
        parts = urllib.parse.urlsplit(text)
        if parts.scheme == "file":
            return cls(f"file:{_path_in(parts)}")
        if parts.scheme not in _REMOTE:
            if "://" in text or not text:
                raise UsageError(f"a database is at {_KINDS}, not at `{parts.scheme or text}`")
            return cls(f"file:{text}")
        _check_remote(parts)
        scheme = parts.scheme
        if scheme == "libsql":
            scheme = "http" if "tls=0" in parts.query.split("&") else "https"
        return cls(urllib.parse.urlunsplit((scheme, parts.netloc, parts.path, "", "")), token)

    @property
    def path(self) -> Path | None:
        """The file; None for a server."""
        return Path(self.url.removeprefix("file:")) if self.url.startswith("file:") else None

    def __str__(self) -> str:
        return self.url


def default_address(runs: Path, *, environ: Mapping[str, str] | None = None, file: Path = ENVIRONMENT_FILE) -> Address:
    """Returns the address that `TURSO_DATABASE_URL` names, in the environment or in `.env.local`, else the file
    `alpha.db` in the folder of the runs."""
    url = environment_value(URL_VARIABLE, environ=environ, file=file)
    if url is None:
        return Address(f"file:{runs / FILE_NAME}")
    return Address.of(url, token=environment_value(TOKEN_VARIABLE, environ=environ, file=file))


def _path_in(parts: urllib.parse.SplitResult) -> str:
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise UsageError(f"`file:` is followed by a path, such as `file:runs/{FILE_NAME}`")
    if parts.query or parts.fragment:
        raise UsageError(
            "the URL of a database file takes no `?` and no `#`; as part of its name write `%3F` and `%23`"
        )
    return urllib.parse.unquote(parts.path)


def _check_remote(parts: urllib.parse.SplitResult) -> None:
    if not parts.hostname:
        raise UsageError(f"the URL of the database names no host: `{parts.scheme}://`")
    if parts.username is not None or parts.password is not None or "authToken" in parts.query:
        raise UsageError(
            "the URL of the database holds a secret, which would be shown and logged",
            hint=f"put the token into `{TOKEN_VARIABLE}`, in the environment or in `.env.local`",
        )
    if parts.query not in ("", "tls=0", "tls=1") or parts.fragment:
        raise UsageError("the URL of the database may have `?tls=0` or `?tls=1` at its end, nothing else")
