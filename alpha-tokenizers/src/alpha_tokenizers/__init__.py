"""Tokenizers of the Alpha toolkit. Names are imported on first use, so that listing plugins stays fast."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_tokenizers.bpe import BpeTokenizer as BpeTokenizer
    from alpha_tokenizers.char import CharTokenizer as CharTokenizer
    from alpha_tokenizers.hugging_face import hugging_face_json as hugging_face_json
    from alpha_tokenizers.importing import import_tokenizer as import_tokenizer
    from alpha_tokenizers.word import WordTokenizer as WordTokenizer

_MODULE_OF = {
    "BpeTokenizer": "bpe",
    "CharTokenizer": "char",
    "WordTokenizer": "word",
    "hugging_face_json": "hugging_face",
    "import_tokenizer": "importing",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_tokenizers` has no attribute `{name}`")
    return getattr(import_module(f"alpha_tokenizers.{_MODULE_OF[name]}"), name)
