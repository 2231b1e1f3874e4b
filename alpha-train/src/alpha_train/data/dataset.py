"""A text, tokenized and split, ready for training."""

from pathlib import Path
from typing import Any

import attrs

from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import DataError
from alpha_core.tokenizer import CHAT_SPECIALS, END_OF_TEXT, Tokenizer
from alpha_train.data.cache import Cache, canonical_hash, code_of
from alpha_train.data.progress import Progress, no_progress
from alpha_train.data.record import DEFAULT_TEXT_KEY
from alpha_train.data.shards import ShardFiles, find_shards, open_shards
from alpha_train.data.source import TextSource, open_source
from alpha_train.data.survey import Survey, survey
from alpha_train.data.token_store import TOKEN_STORE_VERSION, TokenSplit, TokenStore
from alpha_train.data.tokenizing import trained_tokenizer, write_tokens

__all__ = ["Dataset", "open_dataset", "prepare"]

_TOKENS = "tokens"
_ATTEMPTS = 2  # another process may replace an entry between our finding it and opening it


@attrs.frozen(eq=False, kw_only=True)
class Dataset:
    """A text as token ids, on disk and memory-mapped, in two splits."""

    key: str
    """Equal for equal text, tokenizer and split; `open_dataset` finds the tokens by it."""
    content: str
    """SHA-256 of the text alone, so that resuming a run can tell whether its text changed."""
    tokenizer: Tokenizer
    train: TokenSplit
    validation: TokenSplit
    folder: Path
    """Where the tokens are."""
    notes: tuple[str, ...] = ()
    """What a person should know: files left out, a cache that cannot be written."""


def prepare(
    source: TextSource | str,
    tokenizer: Tokenizer | TokenizerInfo,
    *,
    validation_fraction: float = 0.1,
    text_key: str = DEFAULT_TEXT_KEY,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Reads a text, trains a tokenizer on it unless a ready one is given, and encodes it, or finds that in the cache.

    `source` is a source, or text as `open_source` takes it (`python`, `books/`, ...), or token shards as `find_shards`
    finds them, which stay where they are and need a ready tokenizer. Of several documents about `validation_fraction`
    is held out, of one document its end (see `split_pieces`); 0 holds out nothing. Where there are several documents,
    each is followed by the tokenizer's `<|end_of_text|>`. Documents above a million characters are encoded in pieces,
    so that memory stays bounded; pieces end between words, where the built-in tokenizers would split too. A trained
    tokenizer has seen the validation text. `cache` is the cache folder, by default the user's.

    Raises `DataError` for text that is missing, empty or malformed, and `TokenizerError` for what a tokenizer refuses.
    """
    if not 0 <= validation_fraction < 1:
        raise DataError(f"a validation fraction is at least 0 and below 1, not {validation_fraction}")
    if isinstance(source, str):
        shards = find_shards(source)
        if shards is not None:
            return _of_shards(shards, tokenizer, validation_fraction, progress)
        with open_source(source, text_key=text_key) as opened:
            return prepare(opened, tokenizer, validation_fraction=validation_fraction, cache=cache, progress=progress)
    text = survey(source, progress)
    if text.documents.masked:
        _check_chat_specials(tokenizer)
    place = Cache(cache)
    try:
        if isinstance(tokenizer, TokenizerInfo):
            tokenizer = trained_tokenizer(tokenizer, text, place, progress)
        identity = _identity(text, tokenizer, validation_fraction)
        store = _find_or_write(place, text, tokenizer, identity, validation_fraction, progress)
    except OSError as error:
        raise DataError(
            f"the tokens cannot be stored in `{place.folder}`: {error.strerror}",
            hint="make room there, or set `ALPHA_CACHE` to another folder",
        ) from error
    notes = [*text.notes, *place.notes]
    if len(text.documents.sizes) > 1 and tokenizer.end_of_text is None:
        notes.append(f"this tokenizer has no `{END_OF_TEXT}`, so documents follow each other without a mark")
    return _of_store(place, canonical_hash(identity), store, tokenizer, tuple(notes))


def open_dataset(key: str, tokenizer: Tokenizer, *, cache: Path | None = None) -> Dataset:
    """Returns the dataset that `prepare` made before, from the cache, for when its text cannot be read again.

    Raises `DataError` if it is not there any more, or was made with another tokenizer.
    """
    place = Cache(cache)
    try:
        store = TokenStore.open(place.path(_TOKENS, key), tokenizer.vocab_size)
    except OSError as error:
        raise DataError(
            f"the tokens `{key[:16]}` are not in the cache `{place.folder}` any more", hint="give the text again"
        ) from error
    if canonical_hash(store.identity) != key or store.identity["tokenizer"] != canonical_hash(tokenizer.to_artifacts()):
        raise DataError(f"the tokens `{key[:16]}` in the cache are of another text or tokenizer")
    return _of_store(place, key, store, tokenizer)


def _of_store(place: Cache, key: str, store: TokenStore, tokenizer: Tokenizer, notes: tuple[str, ...] = ()) -> Dataset:
    return Dataset(
        key=key,
        content=store.identity["content"],
        tokenizer=tokenizer,
        train=store.train,
        validation=store.validation,
        folder=place.path(_TOKENS, key),
        notes=notes,
    )


def _of_shards(
    files: ShardFiles, tokenizer: Tokenizer | TokenizerInfo, validation_fraction: float, progress: Progress
) -> Dataset:
    if isinstance(tokenizer, TokenizerInfo):
        raise files.no_tokenizer(tokenizer.name)
    shards = open_shards(files, tokenizer, validation_fraction, progress)
    key = {
        "content": shards.content,
        "tokenizer": canonical_hash(tokenizer.to_artifacts()),
        "validationFraction": validation_fraction,
    }
    return Dataset(
        key=canonical_hash(key),
        content=shards.content,
        tokenizer=tokenizer,
        train=shards.train,
        validation=shards.validation,
        folder=files.folder,
        notes=files.notes,
    )


def _check_chat_specials(tokenizer: Tokenizer | TokenizerInfo) -> None:
    missing = [special for special in CHAT_SPECIALS if special not in tokenizer.specials]
    if missing:
        name = tokenizer.name if isinstance(tokenizer, TokenizerInfo) else tokenizer.type
        raise DataError(
            f"the text holds conversations, and tokenizer `{name}` has no {', '.join(f'`{text}`' for text in missing)}",
            hint="choose one with chat specials, such as `--tokenizer=bpe-chat`",
        )


def _identity(text: Survey, tokenizer: Tokenizer, validation_fraction: float) -> dict[str, Any]:
    """Returns all that the tokens depend on."""
    return {
        "version": TOKEN_STORE_VERSION,
        "content": text.documents.content,
        "tokenizer": canonical_hash(tokenizer.to_artifacts()),
        "code": code_of(type(tokenizer)),
        "validationFraction": validation_fraction,
    }


def _find_or_write(
    cache: Cache,
    text: Survey,
    tokenizer: Tokenizer,
    identity: dict[str, Any],
    validation_fraction: float,
    progress: Progress,
) -> TokenStore:
    key = canonical_hash(identity)

    def read(folder: Path) -> TokenStore:
        store = TokenStore.open(folder, tokenizer.vocab_size)
        if store.identity != identity:
            raise DataError("these are the tokens of another text")
        return store

    def build(folder: Path) -> None:
        write_tokens(
            folder, text, tokenizer, identity=identity, validation_fraction=validation_fraction, progress=progress
        )

    for _ in range(_ATTEMPTS):
        store = cache.find(_TOKENS, key, read)
        if store is not None:
            return store
        cache.publish(_TOKENS, key, build)
    return read(cache.path(_TOKENS, key))
