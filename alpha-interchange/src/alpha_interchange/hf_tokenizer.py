"""The tokenizer files of a model for `transformers`, both ways."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpha_core.errors import CheckpointError, TokenizerError
from alpha_core.tokenizer import Tokenizer
from alpha_tokenizers import hugging_face_json, import_tokenizer

__all__ = ["padded", "read_tokenizer", "tokenizer_config_json", "tokenizer_json"]

_FILES = ("tokenizer.json", "vocab.json")


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any] | str:
    """Returns the content of `tokenizer.json`, or why there is none that gives the tokenizer's ids."""
    try:
        return hugging_face_json(tokenizer.to_artifacts())
    except TokenizerError as error:
        return error.message


def tokenizer_config_json(tokenizer: Tokenizer, block_size: int) -> dict[str, Any]:
    """Returns the content of `tokenizer_config.json`."""
    names = {token_id: name for name, token_id in tokenizer.specials.items()}
    end = names.get(tokenizer.end_of_text) if tokenizer.end_of_text is not None else None
    ends = {"bos_token": end, "eos_token": end} if end is not None else {}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": block_size,
        "clean_up_tokenization_spaces": False,
        **ends,
    }


def read_tokenizer(folder: Path, vocab_size: int) -> Mapping[str, Any]:
    """Returns the artifacts of the tokenizer in a folder of `transformers`, for a model of `vocab_size` tokens.

    Raises `CheckpointError` if there is none that Alpha can use.
    """
    hint = "name a tokenizer of Alpha with `--tokenizer=FILE.json`"
    if not any((folder / name).is_file() for name in _FILES):
        raise CheckpointError(f"`{folder}` has no tokenizer that can be imported", hint=hint)
    try:
        tokenizer = import_tokenizer(folder).tokenizer
    except TokenizerError as error:
        raise CheckpointError(f"the tokenizer cannot be imported: {error.message}", hint=hint) from error
    return padded(tokenizer.to_artifacts(), vocab_size, f"`{folder}`")


def padded(artifacts: Mapping[str, Any], vocab_size: int, source: str) -> Mapping[str, Any]:
    """Returns artifacts with as many ids as a model has, the last of which no text makes where it has more.

    Raises `CheckpointError` for a tokenizer that is too large, or that cannot have unused ids.
    """
    size = artifacts.get("vocabSize")
    if size == vocab_size:
        return artifacts
    vocab = artifacts.get("vocab")
    if artifacts.get("type") != "bpe" or not isinstance(vocab, list) or len(vocab) > vocab_size:
        raise CheckpointError(
            f"{source}: the tokenizer has {size} tokens and the model {vocab_size}: they do not belong together"
        )
    return {**artifacts, "vocabSize": vocab_size, "vocab": [*vocab, *[None] * (vocab_size - len(vocab))]}
