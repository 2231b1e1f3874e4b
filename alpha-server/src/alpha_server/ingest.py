"""The application that takes what runs report."""

import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alpha_core.errors import DatabaseError
from alpha_server.body import parse_json, read_body, unpack
from alpha_server.digests import range_of, sha256_of
from alpha_server.errors import RefusedError
from alpha_server.limits import Limits
from alpha_server.messages import Message, Metrics, parse_messages
from alpha_server.storage import Storage
from alpha_server.telemetry import Telemetry
from alpha_server.uploads import Progress, Uploads, step_of

__all__ = ["ingest_app"]

_Endpoint = Callable[[Request], Awaitable[Response]]
_RETRY_SECONDS = 2


def ingest_app(storage: Storage, uploads: Uploads, secret: str, limits: Limits | None = None) -> Starlette:
    """Returns the application. `secret` is the bearer token of everything that writes, and is not kept as it is."""
    ingest = _Ingest(storage, uploads, secret, limits or Limits())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(storage.close)

    routes = [
        Route("/api/ingest", ingest.answering("ingest", ingest.messages), methods=["POST"]),
        Route("/api/runs/{run_id}/files/{name}", ingest.answering("files", ingest.file), methods=["GET", "PUT"]),
        Route("/healthz", ingest.health, methods=["GET"]),
        Route("/metrics", ingest.metrics, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _http_error})


class _Ingest:
    """The routes, and what they share."""

    def __init__(self, storage: Storage, uploads: Uploads, secret: str, limits: Limits) -> None:
        self._storage, self._uploads, self._limits = storage, uploads, limits
        self._token = _fingerprint(secret.encode())
        self._telemetry = Telemetry()

    def answering(self, route: str, endpoint: _Endpoint) -> _Endpoint:
        """Wraps a route that writes: checks the token, turns errors into answers, and counts."""

        async def answer(request: Request) -> Response:
            began = time.perf_counter()
            response = await self._answer(request, endpoint)
            self._telemetry.seconds.labels(route).observe(time.perf_counter() - began)
            self._telemetry.requests.labels(route, str(response.status_code)).inc()
            return response

        return answer

    async def messages(self, request: Request) -> Response:
        """Stores messages, and answers when they are stored."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, "messages are `application/json`")
        body = await self._body(request, self._limits.body, "ingest")
        stored = await run_in_threadpool(self._store, body, dict(request.headers))
        for message in stored:
            self._telemetry.messages.labels(message.type).inc()
            if isinstance(message, Metrics):
                self._telemetry.steps.inc(len(message.rows))
        return JSONResponse({"stored": len(stored)})

    async def file(self, request: Request) -> Response:
        """GET says how much of a file is here; PUT adds a chunk."""
        run_id, name = request.path_params["run_id"], request.path_params["name"]
        sha256 = sha256_of(request.headers, "Repr-Digest")
        if request.method == "GET":
            progress = await run_in_threadpool(self._uploads.progress, run_id, name, sha256)
        else:
            chunk = await self._body(request, self._limits.chunk, "files")
            start, total = range_of(request.headers, len(chunk))
            if not hmac.compare_digest(hashlib.sha256(chunk).digest(), sha256_of(request.headers, "Content-Digest")):
                here = await run_in_threadpool(self._uploads.progress, run_id, name, sha256)
                raise RefusedError(422, "the checksum of the chunk is wrong", {"received": here.received})
            progress = await run_in_threadpool(self._uploads.append, run_id, name, sha256, start, total, chunk)
        if progress.is_complete:
            await run_in_threadpool(self._record, run_id, name, new=request.method == "PUT")
        return _progress_answer(progress)

    async def health(self, request: Request) -> Response:
        """Tells whether something could be stored now."""
        try:
            await run_in_threadpool(self._storage.check)
        except DatabaseError:
            return JSONResponse({"status": "the database is away"}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """What was counted, for Prometheus."""
        return Response(self._telemetry.text(), headers={"Content-Type": self._telemetry.content_type})

    async def _answer(self, request: Request, endpoint: _Endpoint) -> Response:
        try:
            self._authorize(request)
            return await endpoint(request)
        except RefusedError as error:
            await self._discard(request)
            headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
            return JSONResponse(error.fields, error.status, headers)
        except DatabaseError:
            self._telemetry.database_errors.inc()
            return JSONResponse({"error": "the database is away"}, 503, {"Retry-After": str(_RETRY_SECONDS)})
        except ClientDisconnect:  # nobody is left to hear the answer
            return Response(status_code=400)

    def _authorize(self, request: Request) -> None:
        """Compares the token in constant time: fingerprints have one length, whatever was sent."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = _fingerprint(token.strip().encode("latin-1"))
        if not hmac.compare_digest(given, self._token) or scheme.lower() != "bearer":
            raise RefusedError(401, "the bearer token is missing or wrong")

    async def _body(self, request: Request, limit: int, route: str) -> bytes:
        body = await read_body(request.stream(), limit, self._limits.body_seconds)
        self._telemetry.received.labels(route).inc(len(body))
        return body

    async def _discard(self, request: Request) -> None:
        """Reads what is left of a body, so that the client reads the answer instead of seeing a connection break."""
        try:
            await read_body(request.stream(), self._limits.chunk, self._limits.body_seconds)
        except (RefusedError, RuntimeError, ClientDisconnect):  # too long, read already, or gone
            return

    def _store(self, body: bytes, headers: dict[str, str]) -> list[Message]:
        messages = parse_messages(parse_json(unpack(body, headers, self._limits.unpacked)))
        self._storage.add(messages)
        return messages

    def _record(self, run_id: str, name: str, *, new: bool) -> None:
        """Stores that a file is here, before anyone is told so."""
        step = step_of(name)
        if step is not None:
            self._storage.add_checkpoint(run_id, step, self._uploads.path(run_id, name))
        if new:
            self._telemetry.files.inc()


def _progress_answer(progress: Progress) -> Response:
    return JSONResponse({"received": progress.received, "complete": progress.is_complete})


def _fingerprint(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


async def _http_error(request: Request, error: Exception) -> Response:
    """Answers requests for what is not there in the form of all other answers."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    return JSONResponse({"error": detail}, status, getattr(error, "headers", None))
