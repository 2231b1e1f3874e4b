"""The tokenizer names that this package registers, each with its vocabulary size and special tokens."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from alpha_core.descriptors import TokenizerInfo
from alpha_core.tokenizer import CHAT_SPECIALS, END_OF_TEXT

if TYPE_CHECKING:
    from alpha_core.tokenizer import Tokenizer

__all__ = ["PRESETS"]


def _load_char() -> "type[Tokenizer]":
    from alpha_tokenizers.char import CharTokenizer

    return CharTokenizer


def _load_word() -> "type[Tokenizer]":
    from alpha_tokenizers.word import WordTokenizer

    return WordTokenizer


def _load_bpe() -> "type[Tokenizer]":
    from alpha_tokenizers.bpe import BpeTokenizer

    return BpeTokenizer


def _preset(
    name: str, summary: str, load: "Callable[[], type[Tokenizer]]", vocab_size: int | None, specials: Sequence[str]
) -> TokenizerInfo:
    return TokenizerInfo(name=name, summary=summary, load=load, vocab_size=vocab_size, specials=tuple(specials))


# `4k` means 4096: ids of `bpe-64k` then just fill 16 bits, and every size is a multiple of 64, which matmuls like.
PRESETS: tuple[TokenizerInfo, ...] = (
    _preset("char", "one token for each character of the training text", _load_char, None, [END_OF_TEXT]),
    _preset("word", "words, punctuation marks and whitespace characters", _load_word, None, [END_OF_TEXT]),
    _preset("bpe", "byte-level BPE, 2000 tokens", _load_bpe, 2000, [END_OF_TEXT]),
    _preset("bpe-4k", "byte-level BPE, 4096 tokens", _load_bpe, 4096, [END_OF_TEXT]),
    _preset("bpe-8k", "byte-level BPE, 8192 tokens", _load_bpe, 8192, [END_OF_TEXT]),
    _preset("bpe-16k", "byte-level BPE, 16384 tokens", _load_bpe, 16384, [END_OF_TEXT]),
    _preset("bpe-32k", "byte-level BPE, 32768 tokens", _load_bpe, 32768, [END_OF_TEXT]),
    _preset("bpe-64k", "byte-level BPE, 65536 tokens", _load_bpe, 65536, [END_OF_TEXT]),
    _preset("bpe-chat", "byte-level BPE, 2000 tokens, chat specials", _load_bpe, 2000, CHAT_SPECIALS),
    _preset("bpe-chat-4k", "byte-level BPE, 4096 tokens, chat specials", _load_bpe, 4096, CHAT_SPECIALS),
)
