"""A Discord webhook: posts messages one after the other, as fast as Discord allows."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from alpha_report.backoff import Backoff
from alpha_report.http_client import Answer, HttpClient, Unreachable

__all__ = ["Webhook"]

_MOST_WAITING = 32
_MOST_ATTEMPTS = 8


@attrs.define
class _Post:
    body: bytes
    attempts: int = 0


class Webhook:
    """Posts on a thread of its own. Of more than 32 messages that wait the oldest is given up.

    When Discord answers 429, all waits for as long as `Retry-After` says; when it says that the allowance is used up,
    the next message waits until it is renewed. The address holds a secret, so no message of this class contains it.
    """

    def __init__(
        self,
        url: str,
        *,
        source: str,
        tell: Callable[[str], None],
        timeout: float = 10.0,
        first_pause: float = 1.0,
    ) -> None:
        """Raises `ConfigError` for an address that is none."""
        self._client = HttpClient(url, source=source, timeout=timeout)
        self._tell, self._is_told = tell, False
        self._posts: deque[_Post] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._deadline = float("inf")
        self._backoff = Backoff(first_pause, 60.0)
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def post(self, message: Mapping[str, Any]) -> None:
        """Puts a message at the end of the queue."""
        with self._condition:
            self._posts.append(_Post(json.dumps(message).encode()))
            if len(self._posts) > _MOST_WAITING:
                self._posts.popleft()
                self._say(f"more than {_MOST_WAITING} messages wait, and the oldest are given up")
            self._condition.notify()

    def finish(self, seconds: float) -> None:
        """Posts what waits, for `seconds` at most."""
        with self._condition:
            self._deadline = time.monotonic() + seconds
            self._closing = True
            self._condition.notify()
        self._thread.join(seconds)
        if self._posts:
            self._say(f"{len(self._posts)} messages were not posted")

    def _work(self) -> None:
        pause = 0.0
        while True:
            with self._condition:
                until = time.monotonic() + pause
                while (left := min(until, self._deadline) - time.monotonic()) > 0:
                    self._condition.wait(left)
                self._condition.wait_for(lambda: self._posts or self._closing)
                if not self._posts or time.monotonic() > self._deadline:
                    break
                post = self._posts[0]
            pause = self._send(post)
        self._client.close()

    def _send(self, post: _Post) -> float:
        """Posts one message, takes it from the queue if that is settled, and returns the seconds to wait."""
        post.attempts += 1
        try:
            headers = {"Content-Type": "application/json", "User-Agent": "alpha-report"}
            answer = self._client.request("POST", body=post.body, headers=headers)
        except Unreachable as error:
            return self._try_again(post, str(error), None)
        if answer.status == 429:
            return self._try_again(post, "too many messages", _asked_pause(answer))
        if answer.status >= 500:
            return self._try_again(post, f"status {answer.status}", answer.retry_after)
        if not 200 <= answer.status < 300:
            self._say(f"Discord refuses a message with status {answer.status}")
        self._backoff.succeed()
        self._settle(post)
        return _pause_after(answer)

    def _try_again(self, post: _Post, reason: str, asked: float | None) -> float:
        pause = asked if asked is not None else self._backoff.fail()
        if post.attempts >= _MOST_ATTEMPTS:
            self._say(f"a message could not be posted: {reason}")
            self._settle(post)
        return pause

    def _settle(self, post: _Post) -> None:
        with self._condition:
            if self._posts and self._posts[0] is post:
                self._posts.popleft()

    def _say(self, message: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._tell(message)


def _asked_pause(answer: Answer) -> float | None:
    """Returns the seconds that a refusal asks for: the header rounds up, the body is exact."""
    try:
        seconds = float(json.loads(answer.body)["retry_after"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return answer.retry_after
    return seconds if 0 <= seconds < 86400 else answer.retry_after


def _pause_after(answer: Answer) -> float:
    """Returns the seconds until the next message is allowed."""
    if answer.headers.get("x-ratelimit-remaining") != "0":
        return 0.0
    try:
        seconds = float(answer.headers.get("x-ratelimit-reset-after", "0"))
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 86400 else 0.0
