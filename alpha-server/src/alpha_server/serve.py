"""Runs the application until a signal ends it."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from filelock import FileLock, Timeout

from alpha_core.errors import UsageError
from alpha_db.address import Address
from alpha_server.ingest import ingest_app
from alpha_server.limits import Limits
from alpha_server.storage import Storage
from alpha_server.uploads import Uploads

__all__ = ["serve"]

_SHUTDOWN_SECONDS = 20
_MOST_REQUESTS = 64


def serve(
    folder: Path,
    address: Address,
    secret: str,
    *,
    host: str,
    port: int,
    limits: Limits | None = None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Listens until SIGINT or SIGTERM, then answers what has begun, and returns. `ready` is told the address.

    Raises `UsageError` if the address is taken, or another server receives into that folder.
    """
    limits = limits or Limits()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder `{folder}` cannot be made: {error.strerror}") from error
    lock = FileLock(folder / ".ingest.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"another server receives into `{folder}`") from None
    with lock, _listen(host, port) as listener:
        app = ingest_app(Storage(address), Uploads(folder, limits.file), secret, limits)
        config = uvicorn.Config(
            app,
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_REQUESTS,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        # uvicorn raises the signal that ended it again, for whoever else listens: nobody does, and that ends nothing.
        former = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            shown = f"[{host}]" if ":" in host else host
            ready(f"http://{shown}:{listener.getsockname()[1]}")
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # from now on connections wait for the application instead of being refused
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"nothing can listen on `{host}`, port {port}: {reason}") from error
    return listener


def _ignore(number: int, frame: FrameType | None) -> None:
    pass
