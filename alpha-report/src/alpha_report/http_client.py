"""HTTP requests over one connection that is kept open, with nothing but the standard library."""

import http.client
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from alpha_core.errors import ConfigError

__all__ = ["Answer", "HttpClient", "Unreachable"]

_LONGEST_ANSWER = 1 << 20  # bytes; what these servers answer is short


class Unreachable(Exception):  # noqa: N818 (the state of a server, which passes)
    """No answer came: there is no server, or the connection broke. To be tried again."""


@attrs.frozen
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait, None if it does not say."""
        try:
            seconds = float(self.headers.get("retry-after", ""))
        except ValueError:
            return None
        return seconds if 0 <= seconds < 86400 else None


class HttpClient:
    """Talks to one server. For one thread at a time.

    `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are heeded. Certificates are checked. Redirections are not followed.
    """

    def __init__(self, url: str, *, source: str, timeout: float = 10.0) -> None:
        """`source` says where the address is from. Raises `ConfigError`, without the address, which may be a secret."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"`{source}` is no valid address") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
            raise ConfigError(f"`{source}` must be an address that begins with `http://` or `https://`")
        self._is_secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._path = parts.path.rstrip("/")
        self._query = f"?{parts.query}" if parts.query else ""
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    @property
    def host(self) -> str:
        """The server's name and port, which may be shown."""
        return self._host if self._port is None else f"{self._host}:{self._port}"

    def request(
        self, method: str, path: str = "", *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Sends one request to `path` below the client's address. Raises `Unreachable`.

        A kept connection may have been closed by the server meanwhile; then the request goes over a new one, so it
        should do no harm twice.
        """
        is_kept = self._connection is not None
        try:
            return self._request(method, path, body, headers or {})
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if not (is_kept and isinstance(error, http.client.RemoteDisconnected | ConnectionError)):
                raise Unreachable(_reason(error)) from error
        try:
            return self._request(method, path, body, headers or {})
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise Unreachable(_reason(error)) from error

    def close(self) -> None:
        """Closes the connection; the next request opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        connection.request(method, (self._path + path or "/") + self._query, body=body, headers=dict(headers))
        response = connection.getresponse()
        content = response.read(_LONGEST_ANSWER)
        if response.will_close or response.read(1):
            self.close()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def _connect(self) -> http.client.HTTPConnection:
        options: dict[str, Any] = {"timeout": self._timeout}
        kind: type[http.client.HTTPConnection] = http.client.HTTPConnection
        if self._is_secure:
            kind, options["context"] = http.client.HTTPSConnection, ssl.create_default_context()
        proxy = getproxies().get("https" if self._is_secure else "http")
        if proxy is None or proxy_bypass(self._host):
            return kind(self._host, self._port, **options)
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        connection = kind(parts.hostname or "", parts.port, **options)
        connection.set_tunnel(self._host, self._port)
        return connection


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
