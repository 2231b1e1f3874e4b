"""The byte-level BPE tokenizer: bytes, joined by learned merges within the words of a split."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self, final

import regex

from alpha_core.errors import TokenizerError
from alpha_core.suggest import did_you_mean
from alpha_core.tokenizer import Tokenizer
from alpha_tokenizers.bpe_merge import Pair, merge_ids
from alpha_tokenizers.bpe_train import learn_merges
from alpha_tokenizers.byte_symbols import BYTE_SYMBOLS, bytes_of
from alpha_tokenizers.quote import quote
from alpha_tokenizers.specials import ordinary_texts, special_names
from alpha_tokenizers.split import BPE_SPLITS, GPT2_WORDS, split_words
from alpha_tokenizers.vocabulary import UNUSED, Vocabulary, read_artifacts

__all__ = ["BpeTokenizer"]

_DEFAULT_SPLIT = "gpt2"
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

    Tokenizers of other toolkits differ in three ways, and artifacts say so: `split` names another pattern, `wholeWords`
    means that a word which is a token as a whole becomes that token, whatever the merges make of it, and an id may be
    unused (`null` in `vocab`; it decodes as U+FFFD).

    In artifacts, tokens and merges are written in GPT-2's characters for bytes (`Ġ` for a space), a merge as its two
    parts with a space between: the lines of `merges.txt`.

    >>> tokenizer = BpeTokenizer.train(["low lower lowest"], vocab_size=260)
    >>> tokenizer.encode("lower")
    [257, 101, 114]
    >>> [tokenizer.decode([i]) for i in (256, 257, 258)]
    ['lo', 'low', ' low']
    """

    type: ClassVar[str] = "bpe"

    def __init__(
        self,
        vocabulary: Vocabulary,
        merges: Sequence[str],
        *,
        split: str = _DEFAULT_SPLIT,
        whole_words: bool = False,
    ) -> None:
        """Checks that the ordinary tokens are the 256 bytes and the products of the merges, each made once.

        With `whole_words`, tokens that no merge makes are allowed, and merges in any order.
        """
        self._vocabulary = vocabulary
        self._merges = tuple(merges)
        self._split = split
        self._words = _words_of(split)
        self._whole_words = whole_words
        ids = vocabulary.ordinary
        for symbol in BYTE_SYMBOLS:
            if symbol not in ids:
                raise TokenizerError(f"the vocabulary lacks the byte symbol {quote(symbol)}")
        self._byte_ids = [ids[symbol] for symbol in BYTE_SYMBOLS]
        rules = _merge_rules(self._merges, ids, in_any_order=whole_words)
        self._products = [product for _, _, product in rules]
        self._ranks: dict[Pair, int] = {(left, right): rank for rank, (left, right, _) in enumerate(rules)}
        self._bytes = _bytes_of_ids(vocabulary, ids)
        # A byte's token needs no entry: it is what no merges make of it, too.
        whole = {self._bytes[i]: i for i in ids.values()} if whole_words else {}
        self._whole_ids = {data: token_id for data, token_id in whole.items() if len(data) > 1}
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
            for words in split_words(self._words, piece):
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
        artifacts = self._vocabulary.to_artifacts(self.type, self._merges)
        if self._split != _DEFAULT_SPLIT:
            artifacts["split"] = self._split
        if self._whole_words:
            artifacts["wholeWords"] = True
        return artifacts

    @classmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> Self:
        vocabulary, merges = read_artifacts(cls.type, artifacts, optional=("split", "wholeWords"), unused=True)
        whole_words = artifacts.get("wholeWords", False)
        if not isinstance(whole_words, bool):
            raise TokenizerError(f"`wholeWords` must be `true` or `false`, not {quote(whole_words)}")
        return cls(vocabulary, merges, split=artifacts.get("split", _DEFAULT_SPLIT), whole_words=whole_words)

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
        data = word.encode("utf-8", "surrogatepass")
        whole = self._whole_ids.get(data)
        if whole is not None:
            ids = [whole]
        else:
            ids = merge_ids([self._byte_ids[byte] for byte in data], self._ranks.get, self._products)
        if len(word) <= _CACHED_WORD_LENGTH:
            if len(self._cache) >= _CACHED_WORDS:
                self._cache.clear()
            self._cache[word] = ids
        return ids


def _words_of(split: object) -> "regex.Pattern[str]":
    words = BPE_SPLITS.get(split) if isinstance(split, str) else None
    if words is None:
        raise TokenizerError(
            f"there is no split {quote(split)}; there are {', '.join(f'`{name}`' for name in BPE_SPLITS)}",
            hint=did_you_mean(str(split), BPE_SPLITS),
        )
    return words


def _bytes_of_ids(vocabulary: Vocabulary, ordinary: dict[str, int]) -> list[bytes]:
    """Returns what each id stands for."""
    data = ["\N{REPLACEMENT CHARACTER}".encode() if token == UNUSED else b"" for token in vocabulary.tokens]
    for token, token_id in ordinary.items():
        try:
            data[token_id] = bytes_of(token)
        except KeyError as error:
            raise TokenizerError(
                f"the vocabulary has {quote(token)}, in which {quote(error.args[0])} stands for no byte"
            ) from None
    for name, token_id in vocabulary.specials.items():
        data[token_id] = name.encode()
    return data


def _merge_rules(merges: Sequence[str], ids: dict[str, int], *, in_any_order: bool) -> list[tuple[int, int, int]]:
    """Returns each merge as (left id, right id, id of the product), checked against the ordinary tokens `ids`.

    `in_any_order` allows parts that a later merge makes, and tokens that no merge makes.
    """
    made = set(BYTE_SYMBOLS)
    parts = ids if in_any_order else made
    rules: list[tuple[int, int, int]] = []
    for merge in merges:
        left, _, right = merge.partition(" ")
        for part in (left, right):
            if part not in parts:
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
        if token not in made and not in_any_order:
            raise TokenizerError(f"the vocabulary has {quote(token)}, which no merge makes")
    return rules
