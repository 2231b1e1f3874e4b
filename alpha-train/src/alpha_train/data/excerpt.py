"""The beginning of a dataset as the model sees it: documents token by token."""

from collections.abc import Iterator
from itertools import pairwise

import attrs

from alpha_core.tokenizer import Tokenizer
from alpha_train.data.token_store import TokenSplit

__all__ = ["Excerpt", "excerpts"]


@attrs.frozen
class Excerpt:
    """A document, or its beginning."""

    first_token: int
    """Its index in the split."""
    ids: tuple[int, ...]
    texts: tuple[str, ...]
    """The text of each token; part of a character shows as U+FFFD."""
    counts: tuple[bool, ...]
    """For each token whether it counts in the loss."""
    token_count: int
    """Number of tokens of the whole document."""


def excerpts(split: TokenSplit, tokenizer: Tokenizer, *, documents: int, tokens: int) -> Iterator[Excerpt]:
    """Yields the first `documents` documents of a split, of each at most `tokens` tokens.

    Where nobody knows where documents begin, as in token shards, they are pieces of `tokens` tokens.
    """
    for start, end in _ranges(split, documents, tokens):
        stop = min(end, start + tokens)
        ids = split.tokens[start:stop].tolist()
        counts = [True] * len(ids) if split.mask is None else [bool(value) for value in split.mask[start:stop]]
        yield Excerpt(start, tuple(ids), tuple(tokenizer.decode([i]) for i in ids), tuple(counts), end - start)


def _ranges(split: TokenSplit, documents: int, tokens: int) -> list[tuple[int, int]]:
    total = len(split.tokens)
    starts = split.document_starts
    if starts is None:
        return [(start, min(start + tokens, total)) for start in range(0, total, tokens)[:documents]]
    bounds = [*starts[: documents + 1].tolist(), total]
    return list(pairwise(bounds))[:documents]
