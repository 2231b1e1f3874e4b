"""The upload of one file, in chunks with checksums, which goes on where it broke off."""

import base64
import hashlib
import json
import os
from pathlib import Path

import attrs

from alpha_report.http_client import Answer, HttpClient

__all__ = ["Upload", "UploadRefusedError"]

_MOST_RESTARTS = 3


class UploadRefusedError(Exception):
    """The server does not want this file, and asking again would not help."""


class Upload:
    """Sends a file chunk by chunk.

    The first request asks how much of the file the server has, so neither side needs to remember anything. Every chunk
    carries its SHA-256, and that of the whole file, which the server checks before it says that the file is complete.
    """

    def __init__(self, client: HttpClient, run_id: str, path: Path, secret: str, *, chunk_bytes: int) -> None:
        """Raises `OSError` if the file cannot be read."""
        self.path = path
        self._client, self._target = client, f"/api/runs/{run_id}/files/{path.name}"
        self._chunk_bytes = chunk_bytes
        self._file = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        status = os.fstat(self._file.fileno())
        self._size, self.inode = status.st_size, status.st_ino
        self._headers = {
            "Authorization": f"Bearer {secret}",
            "Repr-Digest": _digest(hashlib.file_digest(self._file, "sha256").digest()),
        }
        self._received: int | None = None
        self._restarts = 0
        self.is_complete = False

    def advance(self) -> Answer:
        """Makes one request and returns the answer.

        One with a status other than 200, 409 and 422 has changed nothing (502 stands for an answer that makes no
        sense). Raises `Unreachable` and `UploadRefusedError`.
        """
        answer = self._ask() if self._received is None else self._send(self._received)
        fields = _fields(answer)
        received = fields.get("received")
        if answer.status in (400, 413):
            raise UploadRefusedError(str(fields.get("error", f"status {answer.status}")))
        if answer.status not in (200, 409, 422) or type(received) is not int or not 0 <= received <= self._size:
            return attrs.evolve(answer, status=502) if answer.status in (200, 409, 422) else answer
        if answer.status == 422:  # a checksum was wrong: bytes were damaged on the way
            self._restarts += 1
            if self._restarts > _MOST_RESTARTS:
                raise UploadRefusedError(str(fields.get("error")))
        self._received = received
        self.is_complete = fields.get("complete") is True
        return answer

    def close(self) -> None:
        self._file.close()

    def _ask(self) -> Answer:
        return self._client.request("GET", self._target, headers=self._headers)

    def _send(self, start: int) -> Answer:
        self._file.seek(start)
        chunk = self._file.read(self._chunk_bytes)
        end = start + len(chunk)
        headers = {
            **self._headers,
            "Content-Range": f"bytes {start}-{end - 1}/{self._size}" if chunk else f"bytes */{self._size}",
            "Content-Digest": _digest(hashlib.sha256(chunk).digest()),
            "Content-Type": "application/octet-stream",
        }
        return self._client.request("PUT", self._target, body=chunk, headers=headers)


def _digest(sha256: bytes) -> str:
    """As RFC 9530 writes it."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def _fields(answer: Answer) -> dict[str, object]:
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
