"""Stopping a run from outside: Ctrl-C and SIGTERM let the step finish, so that a checkpoint can be written."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequest", "stop_on_signals"]


class StopRequest:
    """Asked by the loop after every step; `reason` is None until someone wants the run to stop."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        """128 + the signal's number, as shells have it, once there is a reason."""

    def __call__(self) -> str | None:
        return self.reason


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns SIGINT and SIGTERM into a stop request; a second SIGINT raises `KeyboardInterrupt` at once.

    For the main thread, which alone may set signal handlers.
    """
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if request.reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.exit_code = 128 + number
        request.reason = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
