"""The first reading of a source: what is text, how much of it there is, and its hashes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import attrs

from alpha_core.errors import DataError
from alpha_train.data.document import DocumentHashes, Piece
from alpha_train.data.progress import Progress, no_progress
from alpha_train.data.source import NotTextError, Text, TextSource

__all__ = ["Survey", "pieces_of", "survey"]

_NAMES_SHOWN = 3


@attrs.frozen(eq=False)
class Survey:
    """What a source holds."""

    texts: tuple[Text, ...]
    """Those that are text."""
    documents: DocumentHashes
    notes: tuple[str, ...]

    @property
    def text_bytes(self) -> int:
        return int(self.documents.sizes.sum())


def survey(source: TextSource, progress: Progress = no_progress) -> Survey:
    """Reads a source once. Files that are not text are left out, which a note tells with their number and reasons.

    Raises `DataError` if no text is left, and for a damaged file of records.
    """
    total, done = sum(text.size for text in source.texts), 0
    documents = DocumentHashes()
    kept: list[Text] = []
    skipped: dict[str, list[str]] = {}
    for text in source.texts:
        try:
            found = _read(text, partial(_report, progress, done, total))
        except NotTextError as reason:
            skipped.setdefault(str(reason), []).append(text.name)
        else:
            documents.extend(found)
            kept.append(text)
        done += text.size
        progress("reading text", done, total)
    if documents.characters == 0:
        raise _no_text(source, skipped)
    count = sum(map(len, skipped.values()))
    notes = [f"left out {count} of {len(source.texts)} files: {_listed(skipped)}"] if skipped else []
    return Survey(tuple(kept), documents, (*source.notes, *notes))


def pieces_of(texts: Iterable[Text]) -> Iterator[Piece]:
    """Yields the documents of surveyed texts in pieces.

    Raises `DataError` for a file that has become unreadable since.
    """
    for text in texts:
        try:
            yield from text.pieces()
        except (OSError, NotTextError, UnicodeDecodeError) as error:
            raise DataError(f"`{text.name}` changed while it was read: {error}") from error


def _report(progress: Progress, before: int, total: int, size: int) -> None:
    progress("reading text", min(before + size, total), total)


def _read(text: Text, progress: Callable[[int], None]) -> DocumentHashes:
    documents = DocumentHashes()
    size = 0
    try:
        for piece in text.pieces():
            size += documents.add(piece)
            progress(min(size, text.size))
    except UnicodeDecodeError as error:
        raise NotTextError("binary" if b"\0" in error.object else "not UTF-8") from None
    except OSError as error:
        raise NotTextError(f"unreadable ({error.strerror})") from error
    return documents


def _listed(skipped: dict[str, list[str]]) -> str:
    return "; ".join(f"{len(names)} {reason} ({_some(names)})" for reason, names in skipped.items())


def _some(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_NAMES_SHOWN])
    return shown if len(names) <= _NAMES_SHOWN else f"{shown}, ..."


def _no_text(source: TextSource, skipped: dict[str, list[str]]) -> DataError:
    if not skipped:
        return DataError(f"there is no text in {_quoted(source)}: nothing, or only whitespace")
    hint = "convert it to UTF-8, or name another file" if "not UTF-8" in skipped else "name text files"
    if any(name.lower().endswith(".bin") for names in skipped.values() for name in names):
        hint = "token shards without `train` in their names are named themselves, as in `--data='FOLDER/*.bin'`"
    if len(source.texts) == 1:
        (reason,) = skipped
        return DataError(f"{_quoted(source)} is no text file: it is {reason}", hint=hint)
    return DataError(f"there is no text in {_quoted(source)}; left out: {_listed(skipped)}", hint=hint)


def _quoted(source: TextSource) -> str:
    return f"`{source.name}`"
