"""The byte-level BPE tokenizer: bytes, joined by learned merges within the words of GPT-2's split."""

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any, ClassVar, Self, final

from alpha_core.errors import TokenizerError
from alpha_core.tokenizer import Tokenizer
from alpha_tokenizers.bpe_train import learn_merges
from alpha_tokenizers.byte_symbols import BYTE_SYMBOLS, bytes_of
from alpha_tokenizers.quote import quote
from alpha_tokenizers.specials import ordinary_texts, special_names
from alpha_tokenizers.split import GPT2_WORDS, split_words
from alpha_tokenizers.vocabulary import Vocabulary, read_artifacts

__all__ = ["BpeTokenizer"]

_DEFAULT_VOCAB_SIZE = 2000
_CACHED_WORDS = 1 << 16
_CACHED_WORD_LENGTH = 64


@final
class BpeTokenizer(Tokenizer):
    """Byte-level byte-pair encoding, as in GPT-2 (Radford et al. 2019): lossless, and nothing is ever unknown.

    Text is cut at specials, split into words by GPT-2's pattern, and each word's UTF-8 bytes are joined by the merges,
    earliest merge first. The ids of a trained tokenizer are: the 256 bytes, the merges, the specials.

    Any `str` round-trips, lone surrogates included (they are encoded as their three bytes). Ids in an arbitrary order
    may not be valid UTF-8; then each malformed part decodes as U+FFFD.

    In artifacts, tokens and merges are written in GPT-2's characters for bytes (`Ġ` for a space), a merge as its two
    parts with a space between: the lines of `merges.txt`.

    >>> tokenizer = BpeTokenizer.train(["low lower lowest"], vocab_size=260)
    >>> tokenizer.encode("lower")
    [257, 101, 114]
    >>> [tokenizer.decode([i]) for i in (256, 257, 258)]
    ['lo', 'low', ' low']
    """

    type: ClassVar[str] = "bpe"

    def __init__(self, vocabulary: Vocabulary, merges: Sequence[str]) -> None:
        """Checks that the ordinary tokens are the 256 bytes and the products of the merges, each made once."""
        self._vocabulary = vocabulary
        self._merges = tuple(merges)
        ids = vocabulary.ordinary
        for symbol in BYTE_SYMBOLS:
            if symbol not in ids:
                raise TokenizerError(f"the vocabulary lacks the byte symbol {quote(symbol)}")
        self._byte_ids = [ids[symbol] for symbol in BYTE_SYMBOLS]
        # By rank, which is a merge's place in the order: (left id, right id, id of the product).
        self._rules = _merge_rules(self._merges, ids)
        self._ranks = {(left, right): rank for rank, (left, right, _) in enumerate(self._rules)}
        self._bytes = [b""] * len(vocabulary.tokens)
        for token, token_id in ids.items():
            self._bytes[token_id] = bytes_of(token)
        for name, token_id in vocabulary.specials.items():
            self._bytes[token_id] = name.encode()
        self._cache: dict[str, list[int]] = {}

    @property
    def vocab_size(self) -> int:
        return len(self._vocabulary.tokens)

    @property
    def specials(self) -> dict[str, int]:
        return dict(self._vocabulary.specials)

    def encode(self, text: str) -> list[int]:
        find = self._cache.get
        ids: list[int] = []
        for place, piece in enumerate(self._vocabulary.special_pattern.split(text)):
            if place % 2 == 1:
                ids.append(self._vocabulary.specials[piece])
                continue
            for words in split_words(GPT2_WORDS, piece):
                for word in words:
                    ids.extend(find(word) or self._encode_new(word))
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        data = b"".join([self._bytes[i] for i in self._vocabulary.check_ids(ids)])
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def to_artifacts(self) -> dict[str, Any]:
        return self._vocabulary.to_artifacts(self.type, self._merges)

    @classmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> Self:
        return cls(*read_artifacts(cls.type, artifacts))

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int | None = None, specials: Sequence[str] = ()) -> Self:
        """Learns merges until the vocabulary, bytes and specials included, has `vocab_size` tokens (2000 by default).

        The same texts give the same tokenizer, in whatever order they come: ties go to the pair with the lowest ids.
        The vocabulary stays smaller if no pair of tokens is left that occurs at least twice. Raises `TokenizerError`
        if `vocab_size` has no room for the bytes and the specials.
        """
        names = special_names(specials)
        size = _DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size
        smallest = len(BYTE_SYMBOLS) + len(names)
        if size < smallest:
            raise TokenizerError(
                f"a vocabulary of {size} has no room for 256 bytes and {len(names)} special tokens",
                hint=f"use at least {smallest}",
            )
        word_counts: Counter[str] = Counter()
        for text in ordinary_texts(texts, names):
            for words in split_words(GPT2_WORDS, text):
                word_counts.update(words)
        tokens = list(BYTE_SYMBOLS)
        merges: list[str] = []
        for left, right in learn_merges(word_counts, size - smallest):
            merges.append(f"{tokens[left]} {tokens[right]}")
            tokens.append(tokens[left] + tokens[right])
        return cls(Vocabulary.build(tokens, names), merges)

    def _encode_new(self, word: str) -> list[int]:
        """Returns the ids of a word that is not in the cache, and puts it there if it is short."""
        ids = self._merge([self._byte_ids[byte] for byte in word.encode("utf-8", "surrogatepass")])
        if len(word) <= _CACHED_WORD_LENGTH:
            if len(self._cache) >= _CACHED_WORDS:
                self._cache.clear()
            self._cache[word] = ids
        return ids

    def _merge(self, ids: list[int]) -> list[int]:
        """Applies the merges, lowest rank first, from left to right: O(n log n), so that no long word is a trap."""
        nothing = -1  # also marks an id that was merged into its left neighbour
        following = [*range(1, len(ids)), nothing]
        previous = list(range(-1, len(ids) - 1))
        queue = [(rank, i) for i, pair in enumerate(pairwise(ids)) if (rank := self._ranks.get(pair)) is not None]
        heapify(queue)
        while queue:
            rank, i = heappop(queue)
            left, right, product = self._rules[rank]
            second = following[i]
            if ids[i] != left or second == nothing or ids[second] != right:
                continue  # an overlapping pair was merged first
            ids[i], ids[second] = product, nothing
            before, after = previous[i], following[second]
            following[i] = after
            if after != nothing:
                previous[after] = i
                self._queue_pair(queue, ids, i, after)
            if before != nothing:
                self._queue_pair(queue, ids, before, i)
        return [i for i in ids if i != nothing]

    def _queue_pair(self, queue: list[tuple[int, int]], ids: list[int], i: int, j: int) -> None:
        rank = self._ranks.get((ids[i], ids[j]))
        if rank is not None:
            heappush(queue, (rank, i))


def _merge_rules(merges: Sequence[str], ids: dict[str, int]) -> list[tuple[int, int, int]]:
    """Returns each merge as (left id, right id, id of the product), checked against the ordinary tokens `ids`."""
    made = set(BYTE_SYMBOLS)
    rules: list[tuple[int, int, int]] = []
    for merge in merges:
        left, _, right = merge.partition(" ")
        for part in (left, right):
            if part not in made:
                raise TokenizerError(
                    f"the merge {quote(merge)} uses {quote(part)}, which no byte or earlier merge makes"
                )
        product = left + right
        if product not in ids:
            raise TokenizerError(f"the merge {quote(merge)} makes {quote(product)}, which is not in the vocabulary")
        if product in made:
            raise TokenizerError(f"the merge {quote(merge)} makes {quote(product)}, which an earlier merge makes")
        made.add(product)
        rules.append((ids[left], ids[right], ids[product]))
    for token in ids:
        if token not in made:
            raise TokenizerError(f"the vocabulary has {quote(token)}, which no merge makes")
    return rules
