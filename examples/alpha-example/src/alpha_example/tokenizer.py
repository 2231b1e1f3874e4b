"""The tokenizer `bytes`: text as the bytes of its UTF-8 form."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

from alpha_core.errors import TokenizerError
from alpha_core.tokenizer import Tokenizer

__all__ = ["ByteTokenizer"]

_BYTES = 256


class ByteTokenizer(Tokenizer):
    """The ids 0 to 255 are bytes, and the specials follow. Every text round-trips, so nothing is unknown.

    Bytes that are no UTF-8 decode to U+FFFD, and so does a lone surrogate, which UTF-8 cannot write.

    >>> tokenizer = ByteTokenizer(["<|end_of_text|>"])
    >>> tokenizer.encode("hé<|end_of_text|>")
    [104, 195, 169, 256]
    >>> tokenizer.decode([104, 195, 169])
    'hé'
    """

    type: ClassVar[str] = "bytes"

    def __init__(self, specials: Sequence[str] = ()) -> None:
        """Gives the specials the ids from 256 on, in their order."""
        for special in specials:
            if not isinstance(special, str) or not special:
                raise TokenizerError(f"a special token must be a text that is not empty, not `{special!r}`")
        if len(set(specials)) < len(specials):
            raise TokenizerError(f"a special token is given twice: {', '.join(f'`{name}`' for name in specials)}")
        self._names = tuple(specials)
        # Of two specials that begin alike, the longer one is found.
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")") if self._names else None

    @property
    def vocab_size(self) -> int:
        return _BYTES + len(self._names)

    @property
    def specials(self) -> dict[str, int]:
        return {name: _BYTES + index for index, name in enumerate(self._names)}

    def encode(self, text: str) -> list[int]:
        specials = self.specials
        pieces = self._pattern.split(text) if self._pattern is not None else [text]
        ids: list[int] = []
        for place, piece in enumerate(pieces):  # specials are at odd places
            ids.extend([specials[piece]] if place % 2 else _utf8(piece))
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        raw = bytearray()
        for token in ids:
            if not 0 <= token < self.vocab_size:
                raise TokenizerError(f"token id {token} is outside 0 ... {self.vocab_size - 1}")
            raw += bytes([token]) if token < _BYTES else _utf8(self._names[token - _BYTES])
        return raw.decode(errors="replace")

    def to_artifacts(self) -> dict[str, Any]:
        return {"type": self.type, "vocabSize": self.vocab_size, "specialTokens": list(self._names)}

    @classmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> Self:
        names = artifacts.get("specialTokens")
        if artifacts.get("type") != cls.type or not isinstance(names, list):
            raise TokenizerError(f"these are no artifacts of a `{cls.type}` tokenizer")
        tokenizer = cls(names)
        if artifacts.get("vocabSize") != tokenizer.vocab_size:
            raise TokenizerError(f"`vocabSize` is not {tokenizer.vocab_size}, though there are {len(names)} specials")
        return tokenizer

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int | None = None, specials: Sequence[str] = ()) -> Self:
        """Learns nothing from the texts. Raises `TokenizerError` if `vocab_size` has no room for all bytes."""
        tokenizer = cls(specials)
        if vocab_size is not None and vocab_size < tokenizer.vocab_size:
            raise TokenizerError(
                f"a vocabulary of {vocab_size} has no room for {_BYTES} bytes and {len(specials)} special tokens",
                hint=f"use at least {tokenizer.vocab_size}",
            )
        return tokenizer


def _utf8(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
