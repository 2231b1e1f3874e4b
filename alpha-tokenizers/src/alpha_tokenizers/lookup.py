"""What the char and the word tokenizer share: text is split into symbols, and each symbol is looked up in a table."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar, Self

from alpha_core.errors import TokenizerError
from alpha_core.tokenizer import Tokenizer
from alpha_tokenizers.quote import quote
from alpha_tokenizers.specials import is_unicode, ordinary_texts, special_names
from alpha_tokenizers.vocabulary import Vocabulary, read_artifacts

__all__ = ["REPLACEMENT", "UNKNOWN", "LookupTokenizer"]

UNKNOWN = "<|unk|>"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class LookupTokenizer(Tokenizer):
    """A tokenizer whose ordinary tokens are the symbols that its training text held most often.

    A symbol that is not in the vocabulary is encoded as the id of `<|unk|>` and decoded as U+FFFD; all other text
    round-trips. `<|unk|>` is no special token: its own text is ordinary text. Symbols with lone surrogates never enter
    the vocabulary, so that artifacts can be written as UTF-8.

    The ids are: the symbols in code point order, `<|unk|>`, the specials.
    """

    default_vocab_size: ClassVar[int | None]
    """The limit of the vocabulary when `train` is given none; None keeps every symbol."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Checks that the vocabulary has `<|unk|>` and otherwise only tokens that are symbols."""
        self._vocabulary = vocabulary
        ids = vocabulary.ordinary
        if UNKNOWN not in ids:
            raise TokenizerError(f"the vocabulary lacks `{UNKNOWN}`, which stands for unknown symbols")
        self.unknown_id = ids.pop(UNKNOWN)
        for token in ids:
            if list(chain.from_iterable(self._symbols(token))) != [token]:
                raise TokenizerError(
                    f"the vocabulary has {quote(token)}, which is not one symbol of a `{self.type}` tokenizer"
                )
        self._ids = ids
        self._texts = list(vocabulary.tokens)
        self._texts[self.unknown_id] = REPLACEMENT

    @staticmethod
    @abstractmethod
    def _symbols(text: str) -> Iterator[Sequence[str]]:
        """Yields the symbols of `text` in order, in batches; joined, they are `text` again."""

    @property
    def vocab_size(self) -> int:
        return len(self._vocabulary.tokens)

    @property
    def specials(self) -> dict[str, int]:
        return dict(self._vocabulary.specials)

    def encode(self, text: str) -> list[int]:
        find, unknown = self._ids.get, self.unknown_id
        ids: list[int] = []
        for place, piece in enumerate(self._vocabulary.special_pattern.split(text)):
            if place % 2 == 1:
                ids.append(self._vocabulary.specials[piece])
            else:
                for symbols in self._symbols(piece):
                    ids.extend([find(symbol, unknown) for symbol in symbols])
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        texts = self._texts
        return "".join([texts[i] for i in self._vocabulary.check_ids(ids)])

    def to_artifacts(self) -> dict[str, Any]:
        return self._vocabulary.to_artifacts(self.type)

    @classmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> Self:
        vocabulary, merges = read_artifacts(cls.type, artifacts)
        if merges:
            raise TokenizerError(f"a `{cls.type}` tokenizer has no merges, but the artifact has {len(merges)}")
        return cls(vocabulary)

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int | None = None, specials: Sequence[str] = ()) -> Self:
        """Keeps the most frequent symbols; of equally frequent ones, those that come first in code point order.

        Raises `TokenizerError` if `vocab_size` has no room for `<|unk|>` and the specials.
        """
        names = special_names(specials, reserved=[UNKNOWN])
        limit = cls.default_vocab_size if vocab_size is None else vocab_size
        if limit is not None and limit < 1 + len(names):
            raise TokenizerError(
                f"a vocabulary of {limit} has no room for `{UNKNOWN}` and {len(names)} special tokens",
                hint=f"use at least {1 + len(names)}",
            )
        counts: Counter[str] = Counter()
        for text in ordinary_texts(texts, names):
            for symbols in cls._symbols(text):
                counts.update(symbols)
        frequent = sorted((symbol for symbol in counts if is_unicode(symbol)), key=lambda s: (-counts[s], s))
        kept = frequent if limit is None else frequent[: limit - 1 - len(names)]
        return cls(Vocabulary.build([*sorted(kept), UNKNOWN], names))
