"""The word tokenizer: one token for each word, punctuation mark and whitespace character."""

from collections.abc import Iterator
from typing import ClassVar, final

from alpha_tokenizers.lookup import LookupTokenizer
from alpha_tokenizers.split import PLAIN_WORDS, split_words

__all__ = ["WordTokenizer"]


@final
class WordTokenizer(LookupTokenizer):
    """One token for each frequent word, punctuation mark or whitespace character, and one for all others.

    A word is a run of letters, digits and `_`, with apostrophes and sharps inside it (`don't`, `F#m7`). Meant for text
    of few different words, such as chord sheets; unless told otherwise, the vocabulary has at most 8192 tokens.

    >>> tokenizer = WordTokenizer.train(["Em7 G F#m7"])
    >>> tokenizer.encode("G Em7")
    [3, 0, 1]
    >>> tokenizer.decode(tokenizer.encode("G Am"))
    'G �'
    """

    type: ClassVar[str] = "word"
    default_vocab_size: ClassVar[int | None] = 8192

    @staticmethod
    def _symbols(text: str) -> Iterator[list[str]]:
        return split_words(PLAIN_WORDS, text)
