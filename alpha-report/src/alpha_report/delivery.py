"""The thread that delivers what waits in an outbox to a server."""

import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alpha_report import messages
from alpha_report.backoff import Backoff
from alpha_report.http_client import Answer, HttpClient, Unreachable
from alpha_report.outbox import Outbox, Record
from alpha_report.settings import Settings
from alpha_report.upload import Upload, UploadRefusedError
from alpha_report.waiting_files import WaitingFiles

__all__ = ["Delivery"]

_TOLD_AFTER = 2
"""Failures in a row that are told; a single one often is a connection that broke."""
_REFUSED = (400, 413, 422)
"""Answers to a request that would be refused again."""


class Delivery:
    """Delivers records in their order, and files between them, until `finish`.

    Steps go in batches, everything else at once; a heartbeat goes where nothing else does. A record leaves the outbox
    when the server has said that it is stored. While the server is away, or says that it cannot store now, attempts
    become rarer. A record or file that the server refuses is given up. Each such thing is told once.
    """

    def __init__(
        self, run_id: str, outbox: Outbox, files: WaitingFiles, settings: Settings, tell: Callable[[str], None]
    ) -> None:
        """Raises `ConfigError` for an address that is none."""
        self._run_id, self._outbox, self._files, self._settings, self._tell = run_id, outbox, files, settings, tell
        self._client = HttpClient(settings.url, source="ALPHA_REMOTE_URL", timeout=settings.timeout)
        self._backoff = Backoff(settings.first_pause, settings.longest_pause)
        self._wake, self._closing = threading.Event(), threading.Event()
        self._deadline = float("inf")
        self._step = 0
        self._retry_at = 0.0
        self._error: Exception | None = None
        self._told: set[str] = set()
        self._upload: Upload | None = None
        self._last_success = self._last_flush = self._last_message = time.monotonic()
        self._thread = threading.Thread(target=self._work, name=f"delivery of {run_id}", daemon=True)
        self._thread.start()

    def notice(self, step: int | None = None) -> None:
        """Says that the outbox has grown, and how far the run is. Raises the error that ended the thread, if any."""
        if self._error is not None:
            raise self._error
        self._step = step if step is not None else self._step
        waiting = len(self._outbox)
        if self._outbox.has_urgent() or waiting == 1 or waiting >= self._settings.batch:
            self._wake.set()

    def finish(self, seconds: float) -> bool:
        """Delivers what waits, for `seconds` at most; gives up early on a server that is away. Tells what is left.

        Returns whether everything arrived.
        """
        self._last_success = time.monotonic()
        self._deadline = self._last_success + seconds
        self._closing.set()
        self._wake.set()
        self._thread.join(None if math.isinf(seconds) else seconds + self._settings.timeout)
        records, files = len(self._outbox), len(self._files.all())
        if records or files:
            self._tell(
                f"{records} records and {files} files did not reach `{self._client.host}`; they wait in"
                f" `{self._files.folder}`, and `alpha remote send` or a resumed run delivers them"
            )
        return not (records or files)

    def _work(self) -> None:
        try:
            while not self._is_over():
                pause = self._pause()
                if pause > 0:
                    self._wake.wait(pause)
                    self._wake.clear()
                elif not self._deliver_something():
                    self._rest()
        except Exception as error:  # noqa: BLE001 (told on the thread of the sink)
            self._error = error
        finally:
            self._end_upload()
            self._client.close()

    def _is_over(self) -> bool:
        if not self._closing.is_set():
            return False
        now = time.monotonic()
        nothing = not len(self._outbox) and not self._files.all()
        return nothing or now > self._deadline or now - self._last_success > self._settings.patience

    def _pause(self) -> float:
        """Returns the seconds until something is due."""
        waiting = len(self._outbox)
        if waiting >= self._settings.batch or self._outbox.has_urgent() or self._files.all():
            return 0.0
        if self._closing.is_set():
            return 0.0
        now = time.monotonic()
        beat = self._last_message + self._settings.heartbeat_seconds - now
        return min(beat, self._last_flush + self._settings.flush_seconds - now) if waiting else beat

    def _deliver_something(self) -> bool:
        """Makes one request, if possible the first one that is due. Returns False if it failed and time should pass."""
        try:
            records = self._outbox.first(self._settings.most)
            if records:
                self._last_flush = time.monotonic()
                answer: Answer | None = self._send_records(records)
            elif self._files.all():
                answer = self._advance_upload()
            else:
                answer = self._post([messages.heartbeat(self._step)])
        except Unreachable as error:
            return self._fail(str(error), None)
        if answer is None or answer.status == 200 or answer.status in _REFUSED:
            return self._succeed()
        return self._fail(_words(answer), answer.retry_after)

    def _post(self, contents: Sequence[Mapping[str, Any]]) -> Answer:
        body = messages.body_of(self._run_id, contents)
        headers = {
            "Authorization": f"Bearer {self._settings.secret}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        answer = self._client.request("POST", "/api/ingest", body=body, headers=headers)
        if answer.status == 200:
            self._last_message = time.monotonic()
        return answer

    def _send_records(self, records: Sequence[Record]) -> Answer:
        """Sends records; of a batch that is refused, the halves, so that one bad record does not take others along."""
        answer = self._post([record.content for record in records])
        if answer.status == 200:
            self._outbox.confirm(records)
        elif answer.status in _REFUSED and len(records) > 1:
            middle = len(records) // 2
            first = self._send_records(records[:middle])
            return self._send_records(records[middle:]) if first.status in (200, *_REFUSED) else first
        elif answer.status in _REFUSED:
            self._outbox.confirm(records)
            kind = str(records[0].content["type"])
            self._tell_once(f"refused {kind}", f"`{self._client.host}` refuses a record `{kind}`: {_words(answer)}")
        return answer

    def _advance_upload(self) -> Answer | None:
        """Sends one chunk of the first file that waits; None when there was none to send."""
        path = self._files.all()[0]
        try:
            if self._upload is None or self._upload.path != path:
                self._end_upload()
                self._upload = Upload(
                    self._client, self._run_id, path, self._settings.secret, chunk_bytes=self._settings.chunk_bytes
                )
            answer = self._upload.advance()
        except (UploadRefusedError, OSError) as error:
            self._end_upload()
            path.unlink(missing_ok=True)
            self._outbox.add(messages.upload_failed(path.name, str(error)))
            self._tell_once("upload", f"`{path.name}` cannot be uploaded to `{self._client.host}`: {error}")
            return None
        if self._upload.is_complete:
            self._files.remove(path, self._upload.inode)
            self._end_upload()
            if path.suffix == ".alph":
                self._outbox.add(messages.uploaded(path.name))
        return answer if answer.status not in (409, 422) else None

    def _end_upload(self) -> None:
        if self._upload is not None:
            self._upload.close()
            self._upload = None

    def _succeed(self) -> bool:
        if "away" in self._told:
            self._tell_once("back", f"`{self._client.host}` is back; what waited is being delivered")
        self._backoff.succeed()
        self._last_success = time.monotonic()
        self._tell_losses()
        return True

    def _fail(self, reason: str, retry_after: float | None) -> bool:
        self._retry_at = time.monotonic() + self._backoff.fail(retry_after)
        if self._backoff.failures == _TOLD_AFTER:
            self._tell_once(
                "away",
                f"`{self._client.host}` takes nothing ({reason}); records wait in `{self._files.folder}` until it does",
            )
        self._tell_losses()
        return False

    def _rest(self) -> None:
        """Waits for the next attempt, or the end."""
        seconds = self._retry_at - time.monotonic()
        if self._closing.is_set():
            time.sleep(min(max(0.0, seconds), self._settings.first_pause))
        else:
            self._closing.wait(max(0.0, seconds))

    def _tell_losses(self) -> None:
        if self._outbox.lost:
            self._tell_once("lost", f"more than {self._settings.capacity} records wait; the oldest steps are given up")
        if self._outbox.problem is not None:
            self._tell_once("disk", f"records cannot be kept on disk: {self._outbox.problem}")

    def _tell_once(self, topic: str, message: str) -> None:
        if topic not in self._told:
            self._told.add(topic)
            self._tell(message)


def _words(answer: Answer) -> str:
    """Returns what the server says, on one line."""
    if answer.status in (401, 403):
        return "it refuses `ALPHA_REMOTE_SECRET`"
    try:
        error = str(json.loads(answer.body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        error = ""
    words = " ".join(error.split())[:200]
    return f"status {answer.status}: {words}" if words else f"status {answer.status}"
