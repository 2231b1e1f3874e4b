"""Special tokens that a person adds to a tokenizer of another toolkit."""

import re
from collections.abc import Iterable, Mapping

from alpha_core.errors import UsageError
from alpha_tokenizers.quote import quote
from alpha_tokenizers.specials import is_unicode

__all__ = ["parse_specials", "with_ids"]

_WITH_ID = re.compile(r"(.+)=([0-9]{1,9})", re.DOTALL)


def parse_specials(texts: Iterable[str]) -> dict[str, int | None]:
    """Reads `NAME` or `NAME=ID`, as in `<|endoftext|>=50256`. Raises `UsageError` for a name that cannot be one."""
    specials: dict[str, int | None] = {}
    for text in texts:
        match = _WITH_ID.fullmatch(text)
        name = match[1] if match is not None else text
        if not name or not is_unicode(name):
            raise UsageError(f"a special token needs a name, and {quote(text)} has none")
        if name in specials:
            raise UsageError(f"the special token {quote(name)} is given twice")
        specials[name] = int(match[2]) if match is not None else None
    return specials


def with_ids(specials: Mapping[str, int | None], ids: Mapping[str, int]) -> dict[str, int]:
    """Gives each special its id: the one it asks for, else the one it has in `ids`, else the next after all others.

    Raises `UsageError` if it asks for another id than it has.
    """
    known = [token_id for token_id in (*ids.values(), *specials.values()) if type(token_id) is int]
    following = max(known, default=-1) + 1
    result: dict[str, int] = {}
    for name, asked in specials.items():
        own = ids.get(name)
        if asked is not None and own is not None and asked != own:
            raise UsageError(f"the special token {quote(name)} has the id {own}, not {asked}")
        token_id = own if asked is None else asked
        if token_id is None:
            token_id, following = following, following + 1
        result[name] = token_id
    return result
