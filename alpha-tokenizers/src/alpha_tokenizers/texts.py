"""Text to build a tokenizer from: files, folders, glob patterns and standard input."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from glob import escape, glob, has_magic
from pathlib import Path

from alpha_core.errors import DataError
from alpha_core.suggest import did_you_mean

__all__ = ["STANDARD_INPUT", "read_standard_input", "read_texts"]

STANDARD_INPUT = "-"


def read_texts(sources: Sequence[str], note: Callable[[str], None]) -> Iterator[str]:
    """Yields one text for each file of the sources, folders and patterns in the order of their sorted paths.

    Text is UTF-8, taken as it is, line ends included; only a byte order mark is dropped. Hidden files in folders are
    left out; so are files there, or from a pattern, that are not UTF-8 text, and `note` is told how many. A file that
    is named must be text. Raises `DataError` for a source that does not exist or cannot be read.
    """
    for source in sources:
        if source == STANDARD_INPUT:
            yield read_standard_input()
        elif os.path.isdir(source):
            yield from _texts_among(_files_below(source), source, note)
        elif os.path.exists(source):
            yield _text_of(source)
        elif has_magic(source):
            yield from _texts_among(_files_matching(source), source, note)
        else:
            hint = did_you_mean(source, glob(os.path.join(escape(os.path.dirname(source)), "*")))
            raise DataError(f"there is no file or folder `{source}`", hint=hint)


def read_standard_input() -> str:
    """Returns all of standard input. Raises `DataError` if it is not UTF-8."""
    return _decode(sys.stdin.buffer.read(), "standard input")


def _text_of(path: str) -> str:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}") from error
    return _decode(data, path).removeprefix("\N{BYTE ORDER MARK}")


def _files_below(folder: str) -> set[str]:
    found: set[str] = set()
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.update(os.path.join(parent, name) for name in files if not name.startswith("."))
    return found


def _files_matching(pattern: str) -> set[str]:
    found: set[str] = set()
    for path in glob(pattern, recursive=True):
        found.update(_files_below(path) if os.path.isdir(path) else [path])
    if not found:
        raise DataError(f"no file matches `{pattern}`")
    return found


def _texts_among(files: Iterable[str], source: str, note: Callable[[str], None]) -> Iterator[str]:
    skipped = 0
    for path in sorted(filter(os.path.isfile, files)):
        try:
            yield _text_of(path)
        except _NotTextError:
            skipped += 1
    if skipped:
        note(f"files left out of `{source}`, not being UTF-8 text: {skipped}")


class _NotTextError(DataError):
    """A file that is not UTF-8."""


def _decode(data: bytes, source: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _NotTextError(f"`{source}` is not UTF-8 text: {error.reason} at byte {error.start}") from error
