"""Cutting text into words, in batches of bounded size, so that a file of any length is split in little memory.

No word of any pattern below crosses the boundary between a letter or digit and the whitespace after it; batches end
there, and so the words of the batches are the words of the whole text.

`regex` rather than `re`: it knows `\\p{L}`. Its Unicode tables are held at one version, see `unicode_16`.
"""

from collections.abc import Iterator

import regex

from alpha_tokenizers.unicode_16 import as_unicode_16

__all__ = ["BPE_SPLITS", "GPT2_WORDS", "PLAIN_WORDS", "SPLIT_ALIASES", "split_words"]

# Radford et al. 2019, `encoder.py` of GPT-2: contractions; letters, digits or marks with one leading space; whitespace.
GPT2_WORDS = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

# GPT-4's, from tiktoken's `openai_public.py`: any mark may lead a word, numbers have at most three digits, and line
# ends belong to the marks before them. Whitespace at the very end of a text is one word, line ends included (`\s++\Z`).
_CL100K_WORDS = regex.compile(
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++\Z|\s*[\r\n]|\s+(?!\S)|\s"
)

# GPT-4o's, from the same file: words end where a capital follows a small letter, and keep their contraction.
_O200K_WORDS = regex.compile(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

BPE_SPLITS: dict[str, "regex.Pattern[str]"] = {"gpt2": GPT2_WORDS, "cl100k": _CL100K_WORDS, "o200k": _O200K_WORDS}
"""The patterns of byte-level BPE tokenizers, by the names that artifacts use."""

SPLIT_ALIASES = {"r50k": "gpt2", "p50k": "gpt2"}
"""Encodings of tiktoken that split like another one."""

# A word may hold apostrophes and sharps (`don't`, `F#m7`); any other mark, and each whitespace character, stands alone.
PLAIN_WORDS = regex.compile(r"\w+(?:['’#]\w+|#)*|\s|[^\w\s]")  # noqa: RUF001 (the typographic apostrophe is meant)

_BATCH_CHARACTERS = 1 << 20
_LAST_OF_WORD = regex.compile(r"[\p{L}\p{N}](?=\s)")


def split_words(words: "regex.Pattern[str]", text: str) -> Iterator[list[str]]:
    """Yields the matches of `words` in `text`, in order, in lists; joined, they are `text` again."""
    seen = as_unicode_16(text)
    is_same = seen == text
    start = 0
    while start < len(text):
        boundary = _LAST_OF_WORD.search(seen, start + _BATCH_CHARACTERS)
        end = boundary.end() if boundary is not None else len(text)
        found = words.findall(seen, start, end)
        yield found if is_same else _same_places(found, text, start)
        start = end


def _same_places(words: list[str], text: str, start: int) -> list[str]:
    """Returns the parts of `text` that stand where `words` stand, one after the other, from `start` on."""
    parts: list[str] = []
    for word in words:
        parts.append(text[start : start + len(word)])
        start += len(word)
    return parts
