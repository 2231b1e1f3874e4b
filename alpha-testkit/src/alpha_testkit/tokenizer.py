"""The conformance kit of tokenizers."""

import json
import random
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from alpha_core.errors import TokenizerError
from alpha_core.tokenizer import CHAT_SPECIALS, Tokenizer
from alpha_testkit.conformance import Conformance, each

__all__ = ["TokenizerConformance"]

TRAINING_TEXTS = (
    "The quick brown fox jumps over the lazy dog.\nIt does so again, and again, and again.\n",
    "def add(a, b):\n    return a + b  # the sum\n\n\nprint(add(1, 2))\n",
    "to be, or not to be: that is the question; whether 'tis nobler in the mind to suffer\n",
)
HARD_TEXTS = {
    "spaces": "  two  spaces \t tab\r\n\n\n",
    "control": "\x00\x01\x7f",
    "accents": "na\u00efve caf\u00e9, e\u0301 and \u00e9",
    "cyrillic": "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
    "chinese": "\u4f60\u597d\uff0c\u4e16\u754c",
    "right-to-left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "emoji": "\U0001f469\u200d\U0001f4bb \U0001f1e9\U0001f1ea",
    "replacement": "\ufffd\ufeff\u2028",
    "half-special": "<|user| |assistant|> <||> <|end_of_text",
    "long-word": "a" * 3000,
    "digits": "3.14159265358979323846 1,000,000 0x7fff",
}


def _drawn_texts() -> Iterator[str]:
    """Texts of arbitrary Unicode characters (without surrogates, which no file holds), the same in every run."""
    generator = random.Random(0)
    for length in (1, 2, 5, 40, 200):
        points = (generator.choice((0x7F, 0x7FF, 0xD7FF, 0x10FFFF)) for _ in range(length))
        yield "".join(chr(point) for top in points if not 0xD800 <= (point := generator.randint(0, top)) <= 0xDFFF)


WRONG_VALUES: dict[str, Any] = {
    "none": None,
    "number": 7,
    "negative": -1,
    "fraction": 0.5,
    "text": "x",
    "list": [],
    "list-of-none": [None],
    "object": {},
    "nested": {"a": [1]},
}


class TokenizerConformance(Conformance, kit=True):
    """Holds a tokenizer to the contract of `alpha_core.tokenizer.Tokenizer`.

    ```python
    class TestMyTokenizer(TokenizerConformance):
        tokenizer_class = MyTokenizer
        lossless = True
    ```
    """

    tokenizer_class: ClassVar[type[Tokenizer]]
    vocab_size: ClassVar[int | None] = None
    """What `train` is given."""
    specials: ClassVar[tuple[str, ...]] = CHAT_SPECIALS
    """What `train` is given; a tokenizer without special tokens sets ()."""
    training_texts: ClassVar[tuple[str, ...]] = TRAINING_TEXTS
    """What the tokenizer under test is trained on."""
    lossless_texts: ClassVar[tuple[str, ...] | None] = None
    """Texts that decode to themselves; None means the training texts, () is for a tokenizer that normalizes text."""
    lossless: ClassVar[bool] = False
    """Whether every Unicode text decodes to itself."""

    def make_tokenizer(self) -> Tokenizer:
        """Returns a tokenizer: by default, one trained on `training_texts`."""
        return self._train(self.tokenizer_class)

    def test_type(self) -> None:
        """The class has a name for artifacts."""
        assert isinstance(self.tokenizer_class.type, str)
        assert self.tokenizer_class.type

    def test_vocab_size(self) -> None:
        """The vocabulary is not empty, and no larger than was asked for."""
        size = self.make_tokenizer().vocab_size
        assert type(size) is int
        assert size > 0
        if self.vocab_size is not None:
            assert size <= self.vocab_size

    def test_empty_text(self) -> None:
        """The empty text has no ids, and no ids are the empty text."""
        tokenizer = self.make_tokenizer()
        assert tokenizer.encode("") == []
        assert tokenizer.decode([]) == ""

    def test_ids(self) -> None:
        """Ids are a list of plain integers below the vocabulary size."""
        tokenizer = self.make_tokenizer()
        for text in (*self.training_texts, *HARD_TEXTS.values()):
            ids = tokenizer.encode(text)
            assert type(ids) is list
            assert all(type(i) is int and 0 <= i < tokenizer.vocab_size for i in ids), text

    @each(lambda kit: HARD_TEXTS)
    def test_unknown_symbols(self, case: str) -> None:
        """Whatever the policy for unknown symbols is, neither direction raises."""
        tokenizer = self.make_tokenizer()
        decoded = tokenizer.decode(tokenizer.encode(case))
        assert isinstance(decoded, str)
        if self.lossless:
            assert decoded == case

    def test_round_trip(self) -> None:
        """Texts that should decode to themselves do; from a lossless tokenizer all do."""
        tokenizer = self.make_tokenizer()
        texts = self.training_texts if self.lossless_texts is None else self.lossless_texts
        for text in (*texts, *(_drawn_texts() if self.lossless else ())):
            assert tokenizer.decode(tokenizer.encode(text)) == text

    def test_decode_takes_any_sequence(self) -> None:
        """A tuple of ids decodes like a list."""
        tokenizer = self.make_tokenizer()
        ids = tokenizer.encode(self.training_texts[0])
        assert tokenizer.decode(tuple(ids)) == tokenizer.decode(ids)

    def test_every_id_decodes(self) -> None:
        """Each id of the vocabulary has a text."""
        tokenizer = self.make_tokenizer()
        for i in range(tokenizer.vocab_size):
            assert isinstance(tokenizer.decode([i]), str)

    def test_decode_refuses_ids_outside(self) -> None:
        """An id outside the vocabulary raises `TokenizerError`."""
        tokenizer = self.make_tokenizer()
        for wrong in (-1, tokenizer.vocab_size, tokenizer.vocab_size + 10**6, -tokenizer.vocab_size):
            with pytest.raises(TokenizerError):
                tokenizer.decode([0, wrong])

    def test_specials(self) -> None:
        """Each special is one id of its own, wherever it occurs, and decodes to its text."""
        tokenizer = self.make_tokenizer()
        assert set(tokenizer.specials) == set(self.specials)
        ids = list(tokenizer.specials.values())
        assert len(set(ids)) == len(ids)
        assert all(type(i) is int and 0 <= i < tokenizer.vocab_size for i in ids)
        for special, special_id in tokenizer.specials.items():
            assert tokenizer.encode(special) == [special_id]
            assert tokenizer.decode([special_id]) == special
            assert tokenizer.encode(f"to be{special}{special} or").count(special_id) == 2
            assert special_id not in tokenizer.encode(self.training_texts[0])
        assert tokenizer.encode("".join(self.specials)) == [tokenizer.specials[special] for special in self.specials]

    def test_determinism(self) -> None:
        """The same text has the same ids, whatever was encoded before; the same texts train the same tokenizer."""
        one, other = self.make_tokenizer(), self.make_tokenizer()
        assert one.to_artifacts() == other.to_artifacts()
        first = [one.encode(text) for text in self.training_texts]
        for text in HARD_TEXTS.values():
            one.encode(text)
        assert [one.encode(text) for text in self.training_texts] == first
        assert [other.encode(text) for text in reversed(self.training_texts)] == first[::-1]

    def test_train_reads_texts_once(self) -> None:
        """`train` takes an iterator that can be read once only."""
        kinds: tuple[Any, ...] = (iter(self.training_texts), list(self.training_texts))
        trained = [
            self.tokenizer_class.train(texts, vocab_size=self.vocab_size, specials=self.specials) for texts in kinds
        ]
        assert trained[0].to_artifacts() == trained[1].to_artifacts()

    def test_train_on_nothing(self) -> None:
        """Without any text, `train` gives a working tokenizer or raises `TokenizerError`."""
        try:
            tokenizer = self.tokenizer_class.train([], vocab_size=self.vocab_size, specials=self.specials)
        except TokenizerError:
            return
        assert tokenizer.decode(tokenizer.encode("")) == ""

    def test_artifacts(self) -> None:
        """Artifacts are JSON, and give an equal tokenizer back."""
        tokenizer = self.make_tokenizer()
        written = json.dumps(tokenizer.to_artifacts(), allow_nan=False)
        artifacts = json.loads(written)
        assert artifacts == tokenizer.to_artifacts(), "artifacts change on their way through JSON"
        assert artifacts["type"] == self.tokenizer_class.type
        assert artifacts["vocabSize"] == tokenizer.vocab_size
        again = self.tokenizer_class.from_artifacts(artifacts)
        assert type(again) is type(tokenizer)
        assert (again.vocab_size, again.specials) == (tokenizer.vocab_size, tokenizer.specials)
        assert again.to_artifacts() == tokenizer.to_artifacts()
        for text in (*self.training_texts, *self.specials, *HARD_TEXTS.values()):
            ids = tokenizer.encode(text)
            assert again.encode(text) == ids
            assert again.decode(ids) == tokenizer.decode(ids)

    def test_artifacts_are_copies(self) -> None:
        """Changing artifacts, or the table of specials, does not change a tokenizer."""
        tokenizer = self.make_tokenizer()
        before = json.dumps(tokenizer.to_artifacts())
        again = self.tokenizer_class.from_artifacts(given := json.loads(before))
        _spoil(given)
        _spoil(tokenizer.to_artifacts())
        tokenizer.specials["new"] = 0
        assert json.dumps(tokenizer.to_artifacts()) == json.dumps(again.to_artifacts()) == before
        assert set(tokenizer.specials) == set(self.specials)

    def test_incomplete_artifacts(self) -> None:
        """Nothing at all, and a vocabulary size that does not fit, raise `TokenizerError`."""
        artifacts = self.make_tokenizer().to_artifacts()
        for wrong in ({}, *({**artifacts, "vocabSize": size} for size in (artifacts["vocabSize"] + 1, -1, None, "x"))):
            with pytest.raises(TokenizerError):
                self.tokenizer_class.from_artifacts(wrong)

    @each(lambda kit: WRONG_VALUES)
    def test_broken_artifacts(self, case: Any) -> None:
        """With a value missing or of a wrong type: `TokenizerError`, or a tokenizer that does not need the value."""
        tokenizer = self.make_tokenizer()
        artifacts = tokenizer.to_artifacts()
        ids = tokenizer.encode(self.training_texts[0])
        for key in artifacts:
            rest = {other: value for other, value in artifacts.items() if other != key}
            for broken in (rest, {**rest, key: case}):
                try:
                    again = self.tokenizer_class.from_artifacts(json.loads(json.dumps(broken)))
                except TokenizerError:
                    continue
                assert again.encode(self.training_texts[0]) == ids, f"`{key}` changed the ids without an error"

    def _train(self, tokenizer_class: type[Tokenizer]) -> Tokenizer:
        return tokenizer_class.train(self.training_texts, vocab_size=self.vocab_size, specials=self.specials)


def _spoil(value: Any) -> None:
    """Changes everything in nested lists and dicts."""
    if isinstance(value, dict):
        for item in value.values():
            _spoil(item)
        value.clear()
    elif isinstance(value, list):
        for item in value:
            _spoil(item)
        value.append("spoilt")
