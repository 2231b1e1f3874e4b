"""Special tokens: names that stand for one id each wherever their text occurs."""

import re
from collections.abc import Iterable, Iterator, Sequence

from alpha_core.errors import TokenizerError
from alpha_core.tokenizer import END_OF_TEXT
from alpha_tokenizers.quote import quote

__all__ = ["is_unicode", "ordinary_texts", "special_names", "specials_pattern"]


def special_names(asked: Sequence[str], reserved: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the names asked for, followed by `<|end_of_text|>` unless it is among them: it delimits documents.

    Raises `TokenizerError` for a name that is empty, given twice, reserved, or not valid Unicode.
    """
    if isinstance(asked, str):
        raise TokenizerError(f"specials must be a list of names, not the string {quote(asked)}")
    names = list(asked)
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise TokenizerError(f"a special token must be a non-empty string, not {quote(name)}")
        if name in names[:i]:
            raise TokenizerError(f"the special token {quote(name)} is given twice")
        if name in reserved:
            raise TokenizerError(f"the special token {quote(name)} is reserved for unknown symbols")
        if not is_unicode(name):
            raise TokenizerError(f"the special token {quote(name)} holds a lone surrogate")
    return tuple(names if END_OF_TEXT in names else [*names, END_OF_TEXT])


def is_unicode(text: str) -> bool:
    """Tells whether `text` can be written as UTF-8, which a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def specials_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Returns a pattern whose `split` gives ordinary text at even places and specials at odd ones.

    Where two names match at one position, the longer one is taken. Without names, it matches nowhere.
    """
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("(" + ("|".join(map(re.escape, longest_first)) or "(?!)") + ")")


def ordinary_texts(texts: Iterable[str], names: Sequence[str]) -> Iterator[str]:
    """Yields what stands between the specials of each text: the part that a vocabulary is built from."""
    if isinstance(texts, str):
        raise TokenizerError("training takes a list of texts, not one string", hint="pass `[text]`")
    pattern = specials_pattern(names)
    for text in texts:
        yield from pattern.split(text)[::2]
