"""Text into tokens on disk, and text into a trained tokenizer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import DataError
from alpha_core.tokenizer import Tokenizer
from alpha_train.data.cache import Cache, canonical_hash, code_of
from alpha_train.data.document import DocumentHashes
from alpha_train.data.progress import Progress
from alpha_train.data.split import split_pieces
from alpha_train.data.survey import Survey, pieces_of
from alpha_train.data.token_store import token_writers

__all__ = ["trained_tokenizer", "write_tokens"]

_TOKENIZERS = "tokenizers"
_ARTIFACTS = "tokenizer.json"


def write_tokens(
    folder: Path,
    text: Survey,
    tokenizer: Tokenizer,
    *,
    identity: dict[str, Any],
    validation_fraction: float,
    progress: Progress,
) -> None:
    """Encodes a text into a token store in `folder`, each of several documents followed by `<|end_of_text|>`.

    A conversation is followed by it even if there is no other.

    Raises `DataError` if the text is no longer what it was when it was surveyed.
    """
    masked = text.documents.masked
    delimiter = tokenizer.end_of_text if len(text.documents.sizes) > 1 or masked else None
    total, done = text.text_bytes, 0
    documents = DocumentHashes()
    pieces = split_pieces(pieces_of(text.texts), text.documents, validation_fraction)
    with token_writers(folder, tokenizer.vocab_size, identity, masked=masked) as (train, validation):
        for is_validation, piece in pieces:
            ids = tokenizer.encode(piece.text)
            if piece.is_last and delimiter is not None:
                ids = [*ids, delimiter]
            text_bytes = documents.add(piece)
            writer = validation if is_validation else train
            writer.add(
                ids,
                text_bytes=text_bytes,
                characters=len(piece.text),
                counts=piece.counts,
                ends_document=piece.is_last,
            )
            done += text_bytes
            progress("encoding text", done, total)
        if documents.content != text.documents.content:
            raise DataError("the text changed while it was read", hint="train on a copy that nobody writes to")


def trained_tokenizer(info: TokenizerInfo, text: Survey, cache: Cache, progress: Progress) -> Tokenizer:
    """Returns the tokenizer that `info` learns from all of a text, validation text included; the cache remembers it."""
    kind = info.load()
    key = canonical_hash(
        {
            "content": text.documents.content,
            "name": info.name,
            "vocabSize": info.vocab_size,
            "specials": list(info.specials),
            "code": code_of(kind),
        }
    )
    known = cache.find(_TOKENIZERS, key, lambda folder: _load_tokenizer(kind, folder / _ARTIFACTS))
    if known is not None:
        return known
    tokenizer = kind.train(_texts(text, progress), vocab_size=info.vocab_size, specials=info.specials)
    cache.publish(_TOKENIZERS, key, lambda folder: _store_tokenizer(tokenizer, folder / _ARTIFACTS))
    return tokenizer


def _texts(text: Survey, progress: Progress) -> Iterator[str]:
    done = 0
    for piece in pieces_of(text.texts):
        yield piece.text
        done += len(piece.text)
        progress("training the tokenizer", done, text.documents.characters)


def _store_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    artifacts = tokenizer.to_artifacts()
    content = {"artifacts": artifacts, "checksum": canonical_hash(artifacts)}
    path.write_text(json.dumps(content), encoding="utf-8")


def _load_tokenizer(kind: type[Tokenizer], path: Path) -> Tokenizer:
    try:
        content = json.loads(path.read_bytes())
        if content["checksum"] != canonical_hash(content["artifacts"]):
            raise DataError(f"the checksum of `{path.name}` is wrong")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"`{path.name}` is malformed: {error}") from error
    return kind.from_artifacts(content["artifacts"])
