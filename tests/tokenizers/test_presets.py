"""The names that the package registers."""

import subprocess
import sys

import pytest

from alpha_core.tokenizer import CHAT_SPECIALS, END_OF_TEXT
from alpha_tokenizers import BpeTokenizer
from alpha_tokenizers.plugin import register_tokenizers

PRESETS = {info.name: info for info in register_tokenizers()}


def test_the_named_sizes_are_powers_of_two() -> None:
    sizes = {name: info.vocab_size for name, info in PRESETS.items()}
    assert sizes == {
        "char": None,
        "word": None,
        "bpe": 2000,
        "bpe-4k": 4096,
        "bpe-8k": 8192,
        "bpe-16k": 16384,
        "bpe-32k": 32768,
        "bpe-64k": 65536,
        "bpe-chat": 2000,
        "bpe-chat-4k": 4096,
    }


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_trains_with_its_size_and_specials(name: str) -> None:
    info = PRESETS[name]
    tokenizer = info.load().train(["some text, some more text"], vocab_size=info.vocab_size, specials=info.specials)
    assert tuple(tokenizer.specials) == info.specials == (CHAT_SPECIALS if "chat" in name else (END_OF_TEXT,))
    assert tokenizer.type == name.split("-")[0]


def test_the_plain_bpe_preset_is_the_class_default() -> None:
    text = ["".join(f"{i} {i % 97} " for i in range(4000))]
    assert BpeTokenizer.train(text).to_artifacts() == BpeTokenizer.train(text, vocab_size=2000).to_artifacts()


def test_listing_the_presets_imports_no_tokenizer() -> None:
    code = (
        "import sys, alpha_tokenizers.plugin as p; p.register_tokenizers();"
        "print([m for m in ('regex', 'typer', 'numpy', 'alpha_tokenizers.bpe') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
