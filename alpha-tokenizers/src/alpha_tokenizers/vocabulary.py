"""A vocabulary: tokens in id order, some of them special, read from and written to artifacts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any

import attrs

from alpha_core.errors import TokenizerError
from alpha_core.suggest import did_you_mean
from alpha_tokenizers.quote import quote
from alpha_tokenizers.specials import is_unicode, specials_pattern

__all__ = ["UNUSED", "Vocabulary", "read_artifacts"]

UNUSED = ""
"""Stands among tokens for an id that no text makes; in artifacts it is `null`."""

_KEYS = ("type", "vocabSize", "vocab", "merges", "specialTokens")
_MAX_SIZE = 1 << 20  # no vocabulary in use is a quarter of it, and a damaged id must not ask for the memory of billions


@attrs.frozen
class Vocabulary:
    """Tokens in id order, and which of them are special. What an ordinary token stands for, its tokenizer knows."""

    tokens: tuple[str, ...]
    specials: dict[str, int]
    special_pattern: re.Pattern[str] = attrs.field(init=False)

    @special_pattern.default
    def _special_pattern(self) -> re.Pattern[str]:
        return specials_pattern(self.specials)

    @classmethod
    def build(cls, ordinary: Iterable[str], special_names: Sequence[str]) -> "Vocabulary":
        """Returns a vocabulary of the ordinary tokens followed by the specials."""
        tokens = (*ordinary, *special_names)
        first = len(tokens) - len(special_names)
        return cls(tokens, {name: first + i for i, name in enumerate(special_names)})

    @classmethod
    def from_ids(cls, ordinary: Mapping[str, int], specials: Mapping[str, int]) -> "Vocabulary":
        """Returns the vocabulary of tokens with given ids; ids between them that no token has are unused.

        Raises `TokenizerError` if two tokens have one id, if an id is no integer from 0 to 1048575, or if a token is
        empty or has a lone surrogate.
        """
        by_id: dict[int, str] = {}
        for token, token_id in (*ordinary.items(), *specials.items()):
            if token == UNUSED or not is_unicode(token):
                raise TokenizerError(f"the token {quote(token)} is empty or has a lone surrogate")
            if type(token_id) is not int or not 0 <= token_id < _MAX_SIZE:
                raise TokenizerError(
                    f"the token {quote(token)} has the id {quote(token_id)}; ids run from 0 to {_MAX_SIZE - 1}"
                )
            if token_id in by_id:
                raise TokenizerError(f"the tokens {quote(by_id[token_id])} and {quote(token)} have one id, {token_id}")
            by_id[token_id] = token
        tokens = [UNUSED] * (max(by_id, default=-1) + 1)
        for token_id, token in by_id.items():
            tokens[token_id] = token
        return cls(tuple(tokens), dict(specials))

    @property
    def ordinary(self) -> dict[str, int]:
        """The ids of the tokens that are not special."""
        special_ids = set(self.specials.values())
        return {token: i for i, token in enumerate(self.tokens) if token != UNUSED and i not in special_ids}

    def check_ids(self, ids: Iterable[int]) -> list[int]:
        """Returns `ids` as a list. Raises `TokenizerError` for one that is no integer or outside the vocabulary."""
        try:
            checked = list(map(index, ids))
        except TypeError as error:
            raise TokenizerError(f"token ids must be integers: {error}") from error
        if checked and (min(checked) < 0 or max(checked) >= len(self.tokens)):
            outside = next(i for i in checked if not 0 <= i < len(self.tokens))
            raise TokenizerError(
                f"token id `{outside}` is outside the vocabulary: ids run from 0 to {len(self.tokens) - 1}"
            )
        return checked

    def to_artifacts(self, type_name: str, merges: Sequence[str] = ()) -> dict[str, Any]:
        """Returns the artifacts of a tokenizer of type `type_name` as JSON values."""
        return {
            "type": type_name,
            "vocabSize": len(self.tokens),
            "vocab": [token or None for token in self.tokens],
            "merges": list(merges),
            "specialTokens": dict(self.specials),
        }


def read_artifacts(
    type_name: str, artifacts: object, *, optional: Sequence[str] = (), unused: bool = False
) -> tuple[Vocabulary, list[str]]:
    """Returns the vocabulary and the merges of `artifacts`, each key checked by itself and against the others.

    `optional` keys may be there too; their values are the caller's to check. `unused` allows ids without a token.

    Raises `TokenizerError`, in one line, for the first thing that is wrong. An unknown key is refused: it may change
    how text is encoded, and reading on would do it wrongly in silence.
    """
    if not isinstance(artifacts, dict):
        raise TokenizerError(f"a tokenizer artifact must be a JSON object, not {quote(artifacts)}")
    for key in _KEYS:
        if key not in artifacts:
            raise TokenizerError(f"the tokenizer artifact lacks the key `{key}`")
    for key in artifacts:
        if key not in (*_KEYS, *optional):
            raise TokenizerError(
                f"the tokenizer artifact has the unknown key {quote(key)}",
                hint=did_you_mean(str(key), (*_KEYS, *optional)),
            )
    if artifacts["type"] != type_name:
        raise TokenizerError(f"the tokenizer artifact is of type {quote(artifacts['type'])}, not `{type_name}`")
    tokens = _tokens(artifacts["vocab"]) if unused else _strings(artifacts["vocab"], "vocab")
    merges = _strings(artifacts["merges"], "merges")
    size = artifacts["vocabSize"]
    if type(size) is not int or size != len(tokens):
        raise TokenizerError(f"`vocabSize` is not {len(tokens)}, the number of tokens in `vocab`")
    vocabulary = Vocabulary(tuple(tokens), _special_ids(artifacts["specialTokens"], tokens))
    ids = vocabulary.ordinary
    for i, token in enumerate(tokens):
        if token != UNUSED and i != ids.get(token) and i != vocabulary.specials.get(token):
            raise TokenizerError(f"`vocab` has the token {quote(token)} twice")
    return vocabulary, merges


def _strings(value: object, key: str) -> list[str]:
    if not isinstance(value, list):
        raise TokenizerError(f"`{key}` must be a list of strings, not {quote(value)}")
    for item in value:
        if not isinstance(item, str) or not item:
            raise TokenizerError(f"`{key}` must hold non-empty strings, not {quote(item)}")
        if not is_unicode(item):
            raise TokenizerError(f"`{key}` holds {quote(item)}, which has a lone surrogate")
    return value


def _tokens(value: object) -> list[str]:
    """Returns the tokens of a vocabulary in which `null` is an unused id."""
    if not isinstance(value, list):
        return _strings(value, "vocab")
    _strings([token for token in value if token is not None], "vocab")
    return [UNUSED if token is None else token for token in value]


def _special_ids(value: object, tokens: Sequence[str]) -> dict[str, int]:
    if not isinstance(value, dict):
        raise TokenizerError(f"`specialTokens` must map names to ids, not {quote(value)}")
    for name, token_id in value.items():
        if type(token_id) is not int or not 0 <= token_id < len(tokens):
            raise TokenizerError(f"the special token {quote(name)} has the id {quote(token_id)}, which `vocab` lacks")
        if tokens[token_id] != name:
            raise TokenizerError(
                f"the special token {quote(name)} has the id {token_id}, where `vocab` has {quote(tokens[token_id])}"
            )
    return dict(value)
