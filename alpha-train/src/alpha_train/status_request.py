"""Asking a run how it is doing: SIGUSR1 makes it evaluate, write a checkpoint and report, and go on."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["StatusRequest", "status_on_signal"]


class StatusRequest:
    """Asked by the loop after every step; true once after someone wanted to know."""

    def __init__(self) -> None:
        self._wanted = False

    def ask(self) -> None:
        """Wants to know; several times before the step ends are one."""
        self._wanted = True

    def __call__(self) -> bool:
        wanted, self._wanted = self._wanted, False
        return wanted


@contextmanager
def status_on_signal() -> Iterator[StatusRequest]:
    """Turns SIGUSR1 into a request, where there is such a signal (Windows has none).

    For the main thread, which alone may set signal handlers.
    """
    request = StatusRequest()
    if sys.platform == "win32":
        yield request
        return
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: request.ask())
    try:
        yield request
    finally:
        signal.signal(signal.SIGUSR1, previous)
