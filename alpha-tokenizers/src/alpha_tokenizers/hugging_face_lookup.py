"""Hugging Face's `tokenizer.json` of a char or a word tokenizer: text is split, and each part looked up.

Ids are the same there. Text of unknown symbols decodes to `<|unk|>` there and to U+FFFD here.
"""

from collections.abc import Mapping
from typing import Any

from alpha_core.errors import TokenizerError
from alpha_tokenizers.char import CharTokenizer
from alpha_tokenizers.lookup import UNKNOWN
from alpha_tokenizers.word import WordTokenizer

__all__ = ["LOOKUP_SPLITS", "lookup_model"]

# For the Oniguruma engine, whose `\w` has marks, connectors and decimal digits, and not all that `regex` counts as
# letters: so the classes are spelled out.
_WORD = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]"
LOOKUP_SPLITS = {
    "char": r"[\s\S]",
    "word": rf"{_WORD}+(?:['’#]{_WORD}+|#)*|[\s\S]",  # noqa: RUF001 (the typographic apostrophe is meant)
}
"""What a symbol is, by type of tokenizer."""

_CLASSES = {"char": CharTokenizer, "word": WordTokenizer}


def lookup_model(artifacts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `pre_tokenizer`, `decoder` and `model` for the artifacts of a char or a word tokenizer.

    Raises `TokenizerError` for artifacts that are none.
    """
    kind = str(artifacts["type"])
    tokenizer = _CLASSES[kind].from_artifacts(dict(artifacts))
    vocab = {token: token_id for token_id, token in enumerate(artifacts["vocab"])}
    if len(vocab) < tokenizer.vocab_size:
        raise TokenizerError("a token is both special and ordinary; `tokenizer.json` cannot hold both")
    return {
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": LOOKUP_SPLITS[kind]},
            "behavior": "Isolated",
            "invert": False,
        },
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": UNKNOWN},
    }
