"""Artifacts find the class that reads them."""

from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import NotInstalledError, TokenizerError
from alpha_core.hookspecs import hookimpl
from alpha_core.plugins import Plugins
from alpha_core.tokenizer import Tokenizer


class Ascii(Tokenizer):
    """The example of the `Tokenizer` docstring, with one thing to remember."""

    type = "ascii"

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def vocab_size(self) -> int:
        return self.size

    @property
    def specials(self) -> dict[str, int]:
        return {}

    def encode(self, text: str) -> list[int]:
        return [min(ord(character), self.size - 1) for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def to_artifacts(self) -> dict[str, Any]:
        return {"type": self.type, "vocabSize": self.size}

    @classmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> "Ascii":
        return cls(artifacts["vocabSize"])

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int | None = None, specials: Sequence[str] = ()) -> "Ascii":
        return cls(vocab_size or 128)


class Latin(Ascii):
    type = "latin"


def plugins_with(**loads: Callable[[], Any]) -> Plugins:
    @hookimpl
    def register_tokenizers() -> Sequence[TokenizerInfo]:
        return [TokenizerInfo(name=name, summary="A test.", load=load) for name, load in loads.items()]

    plugins = Plugins()
    plugins.register(SimpleNamespace(register_tokenizers=register_tokenizers), name="codes")
    return plugins


def must_not_load() -> type[Tokenizer]:
    raise AssertionError("this class was not needed")


def test_the_type_finds_the_class_under_another_name() -> None:
    plugins = plugins_with(small=lambda: Ascii, latin_1=lambda: Latin)
    tokenizer = plugins.load_tokenizer({"type": "latin", "vocabSize": 7})
    assert isinstance(tokenizer, Latin)
    assert tokenizer.vocab_size == 7


def test_a_name_that_equals_the_type_is_the_only_one_loaded() -> None:
    plugins = plugins_with(other=must_not_load, ascii=lambda: Ascii)
    assert isinstance(plugins.load_tokenizer(Ascii(9).to_artifacts()), Ascii)


def test_a_name_that_equals_the_type_but_has_another_one_is_passed_over() -> None:
    plugins = plugins_with(ascii=lambda: Latin, real=lambda: Ascii)
    assert type(plugins.load_tokenizer({"type": "ascii", "vocabSize": 7})) is Ascii


@pytest.mark.parametrize("artifacts", [{}, {"type": None}, {"type": ["ascii"]}])
def test_artifacts_without_a_type_are_refused(artifacts: dict[str, Any]) -> None:
    with pytest.raises(TokenizerError, match="have no `type`"):
        plugins_with(ascii=lambda: Ascii).load_tokenizer(artifacts)


def test_a_type_that_nobody_reads_is_refused_with_a_suggestion() -> None:
    with pytest.raises(TokenizerError, match="no installed tokenizer reads artifacts of type `asci`") as caught:
        plugins_with(ascii=lambda: Ascii).load_tokenizer({"type": "asci"})
    assert caught.value.hint == "did you mean `ascii`?"


def test_a_class_that_cannot_be_loaded_is_part_of_the_answer() -> None:
    with pytest.raises(TokenizerError, match="tokenizer `ascii` of plugin `codes` cannot be loaded: AssertionError"):
        plugins_with(ascii=must_not_load).load_tokenizer({"type": "ascii"})


def test_a_type_of_an_alpha_package_says_what_to_install() -> None:
    with pytest.raises(NotInstalledError, match="pip install alpha-tokenizers"):
        plugins_with(ascii=lambda: Ascii).load_tokenizer({"type": "bpe"})


def test_artifacts_that_the_class_cannot_read_are_a_tokenizer_error() -> None:
    with pytest.raises(TokenizerError, match="tokenizer `ascii` cannot read its artifacts: KeyError: 'vocabSize'"):
        plugins_with(ascii=lambda: Ascii).load_tokenizer({"type": "ascii"})
