"""Cutting text into words, in batches of bounded size, so that a file of any length is split in little memory.

Words never cross the boundary between a non-whitespace character and the whitespace after it, in either pattern below;
batches end there, and so the words of the batches are the words of the whole text.

`regex` rather than `re`: it knows `\\p{L}`, and its Unicode tables belong to its own version, not to the interpreter's.
"""

from collections.abc import Iterator

import regex

__all__ = ["GPT2_WORDS", "PLAIN_WORDS", "split_words"]

# Radford et al. 2019, `encoder.py` of GPT-2: contractions; letters, digits or marks with one leading space; whitespace.
GPT2_WORDS = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

# A word may hold apostrophes and sharps (`don't`, `F#m7`); any other mark, and each whitespace character, stands alone.
PLAIN_WORDS = regex.compile(r"\w+(?:['’#]\w+|#)*|\s|[^\w\s]")  # noqa: RUF001 (the typographic apostrophe is meant)

_BATCH_CHARACTERS = 1 << 20
_LAST_OF_WORD = regex.compile(r"\S(?=\s)")


def split_words(words: "regex.Pattern[str]", text: str) -> Iterator[list[str]]:
    """Yields the matches of `words` in `text`, in order, in lists; joined, they are `text` again."""
    start = 0
    while start < len(text):
        boundary = _LAST_OF_WORD.search(text, start + _BATCH_CHARACTERS)
        end = boundary.end() if boundary is not None else len(text)
        yield words.findall(text, start, end)
        start = end
