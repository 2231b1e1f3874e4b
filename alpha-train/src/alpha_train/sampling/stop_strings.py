"""Strings that end a text, found while it is written."""

from collections.abc import Sequence

import attrs

__all__ = ["StopStrings"]


@attrs.frozen
class StopStrings:
    """Lets text through up to the first stop string, and nothing of the stop string itself.

    The first one is that which is complete first, whatever pieces the text comes in; of two that are complete at the
    same character, the longer one. Text that may turn out to be the beginning of a stop string is held back. Immutable.
    """

    strings: Sequence[str]
    held: str = ""
    """What may be the beginning of a stop string; once the text is over, it is text."""
    found: str | None = None

    def push(self, piece: str) -> tuple["StopStrings", str]:
        """Returns the state after `piece`, and the text that is certain with it."""
        text = self.held + piece
        matches = [(start + len(s), start, s) for s in self.strings if (start := text.find(s)) >= 0]
        if matches:
            _, start, found = min(matches)
            return attrs.evolve(self, held="", found=found), text[:start]
        certain = len(text) - max((_overlap(text, s) for s in self.strings), default=0)
        return attrs.evolve(self, held=text[certain:]), text[:certain]


def _overlap(text: str, string: str) -> int:
    """Returns the length of the longest end of `text` that is a beginning of `string`, but not all of it."""
    return next((size for size in range(min(len(text), len(string) - 1), 0, -1) if string.startswith(text[-size:])), 0)
