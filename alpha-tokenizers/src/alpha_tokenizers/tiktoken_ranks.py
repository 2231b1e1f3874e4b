"""tiktoken's rank files: a token a line, its bytes in base64, a space, and its rank, which is also its id."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping

from alpha_core.errors import TokenizerError
from alpha_tokenizers.bpe import BpeTokenizer
from alpha_tokenizers.byte_symbols import symbols_of
from alpha_tokenizers.quote import quote
from alpha_tokenizers.rank_merges import merges_of_ranks
from alpha_tokenizers.special_ids import with_ids
from alpha_tokenizers.vocabulary import Vocabulary

__all__ = ["published_specials", "read_ranks", "tokenizer_of_ranks"]

_LINE = re.compile(rb"([A-Za-z0-9+/]+={0,2}) ([0-9]{1,9})")

# From tiktoken's `openai_public.py`: by split and number of ranks, the encoding's name and its special tokens.
_PUBLISHED: dict[tuple[str, int], tuple[str, dict[str, int]]] = {
    ("gpt2", 50256): ("r50k_base", {"<|endoftext|>": 50256}),
    ("gpt2", 50280): ("p50k_base", {"<|endoftext|>": 50256}),
    ("cl100k", 100256): (
        "cl100k_base",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    ("o200k", 199998): ("o200k_base", {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}),
}


def read_ranks(data: bytes) -> dict[bytes, int]:
    """Returns the ranks in a file.

    Raises `TokenizerError` for a malformed line, and for a token or a rank that is there twice.
    """
    ranks: dict[bytes, int] = {}
    seen: set[int] = set()
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), start=1):
        match = _LINE.fullmatch(line.removesuffix(b"\r"))
        try:
            token = b64decode(match[1], validate=True) if match is not None else b""
        except Error:
            token = b""
        if match is None or not token:
            raise TokenizerError(f"line {number} is {quote(line)}, not a token in base64, a space and a rank")
        rank = int(match[2])
        if token in ranks or rank in seen:
            what = f"the token {quote(token)}" if token in ranks else f"the rank {rank}"
            raise TokenizerError(f"{what} is there twice, in line {number} again")
        ranks[token] = rank
        seen.add(rank)
    return ranks


def published_specials(split: str, ranks: Mapping[bytes, int]) -> tuple[str, dict[str, int]] | None:
    """Returns name and special tokens of the published encoding that has as many ranks, or None."""
    return _PUBLISHED.get((split, len(ranks)))


def tokenizer_of_ranks(ranks: Mapping[bytes, int], split: str, specials: Mapping[str, int | None]) -> BpeTokenizer:
    """Returns a tokenizer that gives the ids of `tiktoken` for any text that UTF-8 can hold.

    A special whose id is None gets the next free one. Raises `TokenizerError` if a byte has no rank.
    """
    symbols = {symbols_of(token): rank for token, rank in ranks.items()}
    all_specials = with_ids(specials, {"": max(ranks.values(), default=-1)})
    for byte in range(256):
        if bytes([byte]) not in ranks:
            raise TokenizerError(f"the byte {quote(bytes([byte]))} has no rank")
    merges = [f"{symbols_of(left)} {symbols_of(right)}" for left, right in merges_of_ranks(ranks)]
    return BpeTokenizer(Vocabulary.from_ids(symbols, all_specials), merges, split=split, whole_words=True)
