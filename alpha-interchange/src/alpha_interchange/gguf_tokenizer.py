"""A tokenizer in the metadata of a GGUF file.

llama.cpp knows the splits of byte-level BPE by name. Tokenizers of other types have no counterpart there: the file then
holds the size of the vocabulary alone, and llama.cpp computes with token ids.
"""

from typing import Any

import attrs

from alpha_core.tokenizer import Tokenizer

__all__ = ["GgufTokenizer", "gguf_tokenizer"]

_SPLITS = {("gpt2", False): "gpt-2", ("cl100k", True): "llama-bpe", ("o200k", True): "gpt-4o"}
"""The name of a split in llama.cpp, by Alpha's and by whether a word that is a token takes no merges."""
_NEARLY = ("cl100k", "o200k")
_NORMAL, _CONTROL, _UNUSED = 1, 3, 5


@attrs.frozen(kw_only=True)
class GgufTokenizer:
    """What the metadata say; without `split` there is no tokenizer in the file."""

    tokens: list[str] = attrs.field(factory=list)
    types: list[int] = attrs.field(factory=list)
    merges: list[str] = attrs.field(factory=list)
    split: str | None = None
    notes: tuple[str, ...] = ()


def gguf_tokenizer(tokenizer: Tokenizer) -> GgufTokenizer:
    """Returns a tokenizer as llama.cpp keeps it, or none with a note that says why."""
    artifacts: dict[str, Any] = tokenizer.to_artifacts()
    if tokenizer.type != "bpe":
        return GgufTokenizer(
            notes=(f"without a tokenizer: llama.cpp has none of type `{tokenizer.type}`, and takes token ids",)
        )
    split, whole_words = artifacts.get("split", "gpt2"), artifacts.get("wholeWords", False)
    name = _SPLITS.get((split, whole_words))
    if name is None:
        how = "takes whole words without merges" if whole_words else "merges whole words"
        return GgufTokenizer(
            notes=(f"without a tokenizer: llama.cpp has none that splits as `{split}` and {how}, and takes token ids",)
        )
    specials = set(tokenizer.specials.values())
    tokens: list[str | None] = artifacts["vocab"]
    kinds = [_UNUSED if t is None else _CONTROL if i in specials else _NORMAL for i, t in enumerate(tokens)]
    note = f"llama.cpp splits as `{name}`, which is nearly but not quite `{split}`"
    return GgufTokenizer(
        tokens=[f"<|unused_{i}|>" if token is None else token for i, token in enumerate(tokens)],
        types=kinds,
        merges=list(artifacts["merges"]),
        split=name,
        notes=(note,) if split in _NEARLY else (),
    )
