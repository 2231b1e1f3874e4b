"""A real `alpha ingest serve` in a process of its own, which can be killed and started again."""

import base64
import gzip
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpha_report.http_client import Answer, HttpClient

SECRET = "correct-horse-battery"


class IngestServer:
    """Keeps its port and its folder from one start to the next."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self._environ = {"TURSO_DATABASE_URL": "", "UPLOAD_SECRET": SECRET, **environ}
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> None:
        command = [*("ingest", "serve", f"--runs-dir={self.folder}", f"--port={self._port}"), *arguments]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "alpha_cli", *command],
            env={**os.environ, **self._environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        match = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if match is None:
            process, self._process = self._process, None
            raise AssertionError(line + process.communicate()[0])
        self._port = int(match[1])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def terminate(self) -> None:
        """Asks it to end."""
        assert self._process is not None
        self._process.terminate()

    def stop(self) -> tuple[int, str]:
        """Asks it to end; returns the exit status and what it printed after it was ready."""
        assert self._process is not None
        self._process.terminate()
        output = self._process.communicate(timeout=30)[0]
        status = self._process.returncode
        self._process = None
        return status, output

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        client = HttpClient(self.url, source="the test", timeout=30)
        try:
            return client.request(method, path, body=body, headers=headers)
        finally:
            client.close()

    def post(self, messages: Any, *, secret: str = SECRET, headers: Mapping[str, str] | None = None) -> Answer:
        """Sends messages in JSON, or bytes as they are."""
        body = messages if isinstance(messages, bytes) else json.dumps(messages).encode()
        sent = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", **(headers or {})}
        return self.request("POST", "/api/ingest", body=body, headers=sent)

    def put(
        self,
        run_id: str,
        name: str,
        content: bytes,
        *,
        start: int = 0,
        end: int | None = None,
        secret: str = SECRET,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends the bytes of a file from `start` to `end`."""
        chunk = content[start:end]
        span = f"{start}-{start + len(chunk) - 1}" if chunk else "*"
        sent = {
            "Authorization": f"Bearer {secret}",
            "Content-Range": f"bytes {span}/{len(content)}",
            "Content-Digest": digest(chunk),
            "Repr-Digest": digest(content),
            **(headers or {}),
        }
        return self.request("PUT", f"/api/runs/{run_id}/files/{name}", body=chunk, headers=sent)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Asks the database behind the server."""
        connection = sqlite3.connect(self.folder / "alpha.db")
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def fields(answer: Answer) -> dict[str, Any]:
    value = json.loads(answer.body)
    assert isinstance(value, dict)
    return value


def packed(value: Any) -> bytes:
    return gzip.compress(json.dumps(value).encode())


def checkpoint(size: int = 1000, seed: int = 1) -> bytes:
    """The bytes of a file that is, as far as its beginning tells, a checkpoint."""
    header = json.dumps({"step": 1, "tensors": []}).encode()
    start = b"ALPH" + len(header).to_bytes(4, "little") + header
    block = hashlib.sha256(seed.to_bytes(4, "little")).digest()
    return start + (block * (size // len(block) + 1))[: size - len(start)]
