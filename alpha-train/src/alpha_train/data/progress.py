"""How long work on text tells how far it has come."""

from collections.abc import Callable

__all__ = ["Progress", "no_progress"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done (`reading text`), how much is done, and how much there is, in one unit."""


def no_progress(activity: str, done: int, total: int) -> None:
    """Tells nobody."""
