"""A database on a server, through `libsql_client` over HTTP or WebSockets.

Everything particular to that client stands here; `docs/decisions/0040-libsql-client.md` tells what and why.
"""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from alpha_core.errors import AlphaError, DatabaseError, DatabaseUnavailableError
from alpha_db.address import TOKEN_VARIABLE, Address
from alpha_db.connection import Connection, Statement, Value

if TYPE_CHECKING:
    from libsql_client import Client

__all__ = ["RemoteConnection"]

T = TypeVar("T")

_PATIENCE = 30.0  # seconds that an answer is waited for
_CLOSING = 2.0  # seconds that saying goodbye may take
_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "HRANA_", "STREAM_", "CLIENT_", "SQLD_")
"""Beginnings of codes that may be gone later: locks, and lost connections in the words of the client."""
_REFUSED_STATUS = re.compile(r"HTTP status (40[0-57-9]|41\d)")


class RemoteConnection(Connection):
    """A client on an event loop of its own, on a thread of its own, which also answers the pings of the server.

    The client of a failed call is thrown away, and the next call makes a new one.
    """

    def __init__(self, address: Address, *, patience: float = _PATIENCE) -> None:
        super().__init__(address)
        self._patience = patience
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._loop = asyncio.new_event_loop()
        # What fails is raised to the caller; the client leaves copies in futures that nobody reads.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._thread = threading.Thread(target=self._loop.run_forever, name="alpha-db client", daemon=True)
        self._thread.start()

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        async def call(client: "Client") -> list[tuple[Value, ...]]:
            return [row.astuple() for row in (await client.execute(sql, list(values))).rows]

        return self._call(call)

    def write(self, statements: Sequence[Statement]) -> list[int]:
        # A batch is one request and one transaction on both transports; over HTTP there are no other transactions.
        async def call(client: "Client") -> list[int]:
            results = iter(await client.batch([(each.sql, list(row)) for each in statements for row in each.rows]))
            return [sum(next(results).rows_affected for _ in each.rows) for each in statements]

        return self._call(call)

    def close(self) -> None:
        with self._lock:
            if self._loop.is_closed():
                return
            with suppress(DatabaseError):
                self._wait(self._end(), 2 * _CLOSING)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSING)
            if not self._thread.is_alive():
                self._loop.close()

    def _call(self, call: "Callable[[Client], Awaitable[T]]") -> T:
        with self._lock:
            if self._loop.is_closed():
                raise DatabaseError(f"the connection to `{self.address}` is closed")
            return self._wait(self._with_client(call), self._patience + 2 * _CLOSING)

    def _wait(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError as error:
            future.cancel()
            raise self._silent() from error

    async def _with_client(self, call: "Callable[[Client], Awaitable[T]]") -> T:
        try:
            if self._client is None:
                self._client = _make_client(self.address)
            return await asyncio.wait_for(call(self._client), self._patience)
        except TimeoutError as error:
            await self._discard()
            raise self._silent() from error
        except Exception as error:  # the client raises errors of every kind, its own assertions among them
            mapped = _mapped(error, self.address)
            if isinstance(mapped, DatabaseUnavailableError):
                await self._discard()
            raise mapped from error

    async def _discard(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        # Its own way to close asks a server that may be gone for a goodbye, and keeps the sockets if none comes.
        # Without sockets it ends at once.
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        with suppress(Exception):  # it failed before, or is being left
            await client._session.close()
        with suppress(Exception):
            await asyncio.wait_for(closing, _CLOSING)

    async def _end(self) -> None:
        await self._discard()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _silent(self) -> DatabaseUnavailableError:
        return DatabaseUnavailableError(f"the database `{self.address}` did not answer within {self._patience:g} s")


def _make_client(address: Address) -> "Client":
    from libsql_client import create_client

    # The client resolves its paths against the URL, and would drop the last part of one without a slash at its end.
    # Without a token it would send the word `None` as one.
    return create_client(address.url.rstrip("/") + "/", auth_token=address.token or "")


def _mapped(error: Exception, address: Address) -> AlphaError:
    """Returns the error of Alpha for whatever the client raised; its texts hold no token."""
    from libsql_client import LibsqlError

    if isinstance(error, AlphaError):
        return error
    if not isinstance(error, LibsqlError):
        return DatabaseUnavailableError(f"the database `{address}` cannot be reached: {_reason(error)}")
    code, text = str(error.code), " ".join(str(error.explanation).split())
    if "AUTH" in code or re.search(r"HTTP status 40[13]", text) or "Unauthorized" in text:
        return DatabaseError(f"the database `{address}` refuses the token", hint=f"it is read from `{TOKEN_VARIABLE}`")
    if code.startswith(_PASSING) or (code == "SERVER_ERROR" and not _REFUSED_STATUS.search(text)):
        return DatabaseUnavailableError(f"the database `{address}` cannot be used now: {text}")
    return DatabaseError(f"the database `{address}` refuses: {text}")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
