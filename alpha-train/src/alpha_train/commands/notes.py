"""What commands tell a person on standard error, so that standard output stays data."""

import sys
import time

__all__ = ["ProgressLine", "note"]


def note(text: str) -> None:
    """Writes a sentence that a person should know."""
    print(f"note: {text}", file=sys.stderr)


class ProgressLine:
    """Shows how far reading and tokenizing have come: one changing line in a terminal, else a line an activity."""

    _PAUSE = 0.1  # seconds between two changes of the line

    def __init__(self) -> None:
        self._activity = ""
        self._shown_at = 0.0
        self._live = sys.stderr.isatty()

    def __call__(self, activity: str, done: int, total: int) -> None:
        """Takes what `alpha_train.data.Progress` describes."""
        now = time.monotonic()
        if activity == self._activity and not (self._live and (now - self._shown_at > self._PAUSE or done >= total)):
            return
        self._activity, self._shown_at = activity, now
        if self._live:
            share = f" {100 * done // total}%" if total else ""
            print("\r\x1b[K" + (f"{activity}{share}" if done < total else ""), end="", file=sys.stderr, flush=True)
        else:
            print(activity, file=sys.stderr)

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the changing line."""
        if self._live and self._activity:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        self._activity = ""
