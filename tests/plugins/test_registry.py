"""What plugins brought, by name: found, missing, unavailable and broken; plugins that a program registers itself."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from alpha_core.descriptors import BackendInfo, OptimizerInfo, TokenizerInfo
from alpha_core.errors import BackendError, PluginError, TokenizerError, UnknownNameError
from alpha_core.hookspecs import hookimpl
from alpha_core.plugins import Plugins


def tokenizer(name: str, **details: Any) -> TokenizerInfo:
    return TokenizerInfo(**{"name": name, "summary": "A test.", "load": lambda: object, **details})


def bringing(*infos: TokenizerInfo) -> object:
    @hookimpl
    def register_tokenizers() -> Sequence[TokenizerInfo]:
        return infos

    return SimpleNamespace(register_tokenizers=register_tokenizers)


@pytest.fixture
def plugins() -> Plugins:
    plugins = Plugins()
    plugins.register(bringing(tokenizer("morse"), tokenizer("braille")), name="codes")
    return plugins


def test_a_registry_lists_in_the_order_of_registration(plugins: Plugins) -> None:
    plugins.register(bringing(tokenizer("aztec")), name="later")
    assert plugins.tokenizers.names == ("morse", "braille", "aztec")
    assert [info.name for info in plugins.tokenizers] == ["morse", "braille", "aztec"]
    assert len(plugins.tokenizers) == 3
    assert "morse" in plugins.tokenizers
    assert "char" not in plugins.tokenizers


def test_an_unknown_name_lists_what_there_is_and_suggests(plugins: Plugins) -> None:
    with pytest.raises(UnknownNameError) as caught:
        plugins.tokenizers.get("mose")
    assert caught.value.message == "unknown tokenizer `mose`; there are `braille`, `morse`"
    assert caught.value.hint == "did you mean `morse`?"
    assert caught.value.exit_code == 2


def test_an_unknown_name_of_an_empty_kind_says_so(plugins: Plugins) -> None:
    with pytest.raises(UnknownNameError, match="unknown schedule `wavy`; there are none"):
        plugins.schedules.get("wavy")


def test_an_unavailable_part_is_listed_but_cannot_be_used() -> None:
    plugins = Plugins()
    plugins.register(bringing(tokenizer("enigma", unavailable=lambda: "the rotors are missing")), name="war")
    assert plugins.tokenizers.names == ("enigma",)
    assert plugins.tokenizers.available() == []
    with pytest.raises(PluginError, match="tokenizer `enigma` is unavailable here: the rotors are missing"):
        plugins.tokenizers.get("enigma")


def test_an_availability_check_that_fails_counts_as_unavailable() -> None:
    def unavailable() -> str | None:
        raise OSError("no driver")

    plugins = Plugins()
    plugins.register(bringing(tokenizer("enigma", unavailable=unavailable)), name="war")
    (info,) = plugins.tokenizers
    assert info.unavailable() == "its check failed with OSError: no driver"


def test_a_part_that_cannot_be_loaded_names_its_plugin() -> None:
    def load() -> type:
        raise ImportError("no module named rotors")

    plugins = Plugins()
    plugins.register(bringing(tokenizer("enigma", load=load)), name="war")
    with pytest.raises(
        PluginError, match="tokenizer `enigma` of plugin `war` cannot be loaded: ImportError: no module"
    ):
        plugins.tokenizers.get("enigma").load()


def test_an_alpha_error_from_loading_stays_what_it_is() -> None:
    def load() -> type:
        raise TokenizerError("the code book is torn")

    plugins = Plugins()
    plugins.register(bringing(tokenizer("enigma", load=load)), name="war")
    with pytest.raises(TokenizerError, match="torn"):
        plugins.tokenizers.get("enigma").load()


def test_descriptors_keep_their_other_fields() -> None:
    plugins = Plugins()
    plugins.register(bringing(tokenizer("morse", vocab_size=40, specials=("<|stop|>",))), name="codes")
    info = plugins.tokenizers.get("morse")
    assert (info.vocab_size, info.specials) == (40, ("<|stop|>",))


def test_registering_a_broken_plugin_raises_and_adds_nothing(plugins: Plugins) -> None:
    with pytest.raises(
        PluginError, match="plugin `again` is broken: tokenizer `morse` is already registered"
    ) as caught:
        plugins.register(bringing(tokenizer("ascii"), tokenizer("morse")), name="again")
    assert "by plugin `codes`" in caught.value.message
    assert plugins.tokenizers.names == ("morse", "braille")
    assert [record.name for record in plugins.records] == ["codes"]


def test_one_name_may_be_of_several_kinds() -> None:
    class Both:
        @hookimpl
        def register_tokenizers(self) -> Sequence[TokenizerInfo]:
            return [tokenizer("lion")]

        @hookimpl
        def register_optimizers(self) -> Sequence[OptimizerInfo]:
            return [OptimizerInfo(name="lion", summary="A test.", load=lambda: object)]  # type: ignore[arg-type,return-value]

    plugins = Plugins()
    plugins.register(Both())
    assert plugins.records[0].name == "Both"
    assert plugins.records[0].registers == {"tokenizers": ("lion",), "optimizers": ("lion",)}


def test_an_unavailable_backend_has_the_exit_code_of_backends() -> None:
    class Gpu:
        @hookimpl
        def register_backends(self) -> Sequence[BackendInfo]:
            return [BackendInfo(name="gpu", summary="A test.", load=lambda: None, unavailable=lambda: "no GPU")]  # type: ignore[arg-type,return-value]

    plugins = Plugins()
    plugins.register(Gpu())
    with pytest.raises(BackendError, match="backend `gpu` is unavailable here: no GPU"):
        plugins.choose_backend("gpu")
