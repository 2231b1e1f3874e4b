"""Text from tokens that come one by one."""

from collections.abc import Sequence

import attrs

from alpha_core.tokenizer import Tokenizer

__all__ = ["TextDecoder"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@attrs.frozen
class TextDecoder:
    """Decodes tokens as they come; a character that takes several tokens appears with its last one.

    Each piece is decoded after the tokens of the piece before, for a tokenizer may write a token differently at the
    beginning of a text. Immutable, so that beams can share a beginning.
    """

    _tokenizer: Tokenizer
    _context: Sequence[int] = ()
    _pending: Sequence[int] = ()

    def push(self, token: int) -> tuple["TextDecoder", str]:
        """Returns the decoder after `token`, and the text that is complete with it."""
        after = attrs.evolve(self, pending=(*self._pending, token))
        text = after.pending_text()
        if text.endswith(_REPLACEMENT):  # half a character, or nothing but the sign for an unknown one: both can wait
            return after, ""
        return attrs.evolve(self, context=after._pending, pending=()), text

    def pending_text(self) -> str:
        """Returns the text of the tokens that wait for others."""
        before = self._tokenizer.decode(self._context)
        return self._tokenizer.decode([*self._context, *self._pending])[len(before) :]
