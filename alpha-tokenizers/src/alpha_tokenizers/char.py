"""The char tokenizer: one token for each character."""

from collections.abc import Iterator
from typing import ClassVar, final

from alpha_tokenizers.lookup import LookupTokenizer

__all__ = ["CharTokenizer"]


@final
class CharTokenizer(LookupTokenizer):
    """One token for each character (Unicode code point) of the training text, and one for all others.

    >>> tokenizer = CharTokenizer.train(["hello"])
    >>> tokenizer.encode("hole")
    [1, 3, 2, 0]
    >>> tokenizer.decode(tokenizer.encode("hole?"))
    'hole�'
    """

    type: ClassVar[str] = "char"
    default_vocab_size: ClassVar[int | None] = None

    @staticmethod
    def _symbols(text: str) -> Iterator[str]:
        yield text
