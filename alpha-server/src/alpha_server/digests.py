"""Headers of uploads: checksums as RFC 9530 writes them, and ranges."""

import base64
import binascii
import re
from collections.abc import Mapping

from alpha_server.errors import RefusedError

__all__ = ["range_of", "sha256_of"]

_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18})")


def sha256_of(headers: Mapping[str, str], name: str) -> bytes:
    """Returns the SHA-256 in a header such as `Repr-Digest: sha-256=:...:`. Raises `RefusedError` (400)."""
    match = _DIGEST.fullmatch(headers.get(name, ""))
    if match is None:
        raise RefusedError(400, f"the header `{name}` must be `sha-256=:` and the checksum in base64 and `:`")
    try:
        return base64.b64decode(match[1], validate=True)
    except binascii.Error as error:
        raise RefusedError(400, f"the header `{name}` holds no base64") from error


def range_of(headers: Mapping[str, str], length: int) -> tuple[int, int]:
    """Returns where a chunk of `length` bytes begins, and the size of the file. Raises `RefusedError` (400)."""
    match = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None:
        raise RefusedError(400, "the header `Content-Range` must be `bytes START-END/SIZE`")
    total = int(match[3])
    if match[1] is None:
        if length or total:
            raise RefusedError(400, "`Content-Range: bytes */0` is for a file without content")
        return 0, 0
    start, end = int(match[1]), int(match[2])
    if end - start + 1 != length or end >= total:
        raise RefusedError(400, f"the header `Content-Range` does not fit a body of {length} bytes")
    return start, total
