"""Bodies of requests: read up to a limit, and unpacked up to another one."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from alpha_server.errors import RefusedError

__all__ = ["parse_json", "read_body", "unpack"]

_GZIP = 16 + zlib.MAX_WBITS
_DISCARDED = 4
"""How many times the limit is read and thrown away, so that the client gets to hear the answer."""


async def read_body(stream: AsyncIterator[bytes], limit: int, seconds: float) -> bytes:
    """Returns a body. Raises `RefusedError`: 413 for one that is longer than `limit`, 408 for one that is slow."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in stream:
                size += len(part)
                if size <= limit:
                    parts.append(part)
                elif size > _DISCARDED * limit:
                    break
    except TimeoutError as error:
        raise RefusedError(408, f"the body did not come within {seconds:g} s") from error
    if size > limit:
        raise RefusedError(413, f"a body may have {limit} bytes")
    return b"".join(parts)


def unpack(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """Returns a body without its compression. Never makes more than `limit` bytes of it. Raises `RefusedError`."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        data = body
    elif encoding == "gzip":
        data = _gunzip(body, limit)
    else:
        raise RefusedError(415, "a body may be compressed with gzip, and with nothing else")
    if len(data) > limit:
        raise RefusedError(413, f"unpacked, a body may have {limit} bytes")
    return data


def parse_json(data: bytes) -> Any:
    """Returns the value of a JSON text in UTF-8. Raises `RefusedError` (400) for anything else, NaN among it."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RefusedError(400, f"the body is no JSON: {reason[:200]}") from error


def _gunzip(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        data = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise RefusedError(400, "the body is no gzip") from error
    if len(data) > limit:
        return data
    if not unpacker.eof:
        raise RefusedError(400, "the body is gzip that is cut off")
    if unpacker.unused_data:
        raise RefusedError(400, "something follows the gzip of the body")
    return data


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"`{name}` is no JSON")
