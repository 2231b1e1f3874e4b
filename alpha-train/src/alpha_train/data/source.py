"""Where text comes from: a file, a folder, a glob, standard input, the standard library, or strings in memory."""

import glob
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import attrs

from alpha_core.errors import DataError
from alpha_core.suggest import closest, did_you_mean
from alpha_train.data.document import Piece, read_pieces
from alpha_train.data.jsonl import read_jsonl
from alpha_train.data.parquet import read_parquet
from alpha_train.data.record import DEFAULT_TEXT_KEY
from alpha_train.data.standard_library import standard_library_files

__all__ = [
    "STANDARD_INPUT",
    "STANDARD_LIBRARY",
    "WILDCARDS",
    "NotTextError",
    "Text",
    "TextSource",
    "files_matching",
    "look_up",
    "open_source",
    "text_source",
]

STANDARD_INPUT = "-"
STANDARD_LIBRARY = "python"
WILDCARDS = frozenset("*?[")
_READERS = {".jsonl": read_jsonl, ".ndjson": read_jsonl, ".parquet": read_parquet}
"""How files are read whose names end like this; all others are plain text."""


class NotTextError(ValueError):
    """Why a file is left out."""


@attrs.frozen
class Text:
    """One file of text, or what stands for one."""

    name: str
    size: int
    """Bytes, for progress reports."""
    pieces: Callable[[], Iterator[Piece]]
    """Reads the documents from the beginning, as often as it is called. Raises `NotTextError`, `UnicodeDecodeError` or
    `OSError` for a file that cannot be read as text, and `DataError` for a damaged one."""


@attrs.frozen
class TextSource:
    """Files of text in a fixed order; they are opened when they are read, one at a time."""

    name: str
    """What a person called it."""
    texts: tuple[Text, ...]
    notes: tuple[str, ...] = ()


@contextmanager
def open_source(
    spec: str, *, text_key: str = DEFAULT_TEXT_KEY, standard_input: BinaryIO | None = None
) -> Iterator[TextSource]:
    """Finds the files that `spec` means; the source can be read until the `with` block ends.

    `spec` is `python` (the interpreter's standard library), `-` (standard input), a file, a folder (searched
    recursively, without hidden files), or a glob such as `books/**/*.txt`. Files are UTF-8 and taken in the order of
    their paths. Those that end in `.jsonl`, `.ndjson` or `.parquet` hold records, whose text is under `text_key`.
    Standard input, and files that can be read only once, are copied to a temporary file first. `standard_input`
    replaces the process's own. Raises `DataError` when there is nothing of that name.
    """
    if spec == STANDARD_LIBRARY:
        yield _standard_library()
        return
    if spec == STANDARD_INPUT:
        with _copied(standard_input or sys.stdin.buffer, "standard input") as text:
            yield TextSource("standard input", (text,))
        return
    path, mode = look_up(spec)
    if mode is None and WILDCARDS & set(spec):
        yield _of_files(spec, files_matching(str(path)), text_key, nothing=f"no file matches `{spec}`")
    elif mode is None:
        raise _missing(spec, path)
    elif stat.S_ISDIR(mode):
        yield _of_files(spec, _files_in(path), text_key, nothing=f"folder `{spec}` holds no files")
    elif stat.S_ISREG(mode):
        yield TextSource(spec, (_text_of_file(path, spec, text_key),))
    else:
        with _open_binary(path, spec) as pipe, _copied(pipe, spec) as text:
            yield TextSource(spec, (text,))


def text_source(texts: Iterable[str], name: str = "the text") -> TextSource:
    """Returns a source that holds strings in memory, each of them like a file."""
    return TextSource(
        name, tuple(Text(f"{name} ({i})", len(text), partial(_read_string, text)) for i, text in enumerate(texts, 1))
    )


def look_up(spec: str) -> tuple[Path, int | None]:
    """Returns the path that `spec` means and its mode, or None if there is nothing."""
    try:
        path = Path(spec).expanduser()
        return path, path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return path, None
    except (OSError, RuntimeError, ValueError) as error:  # no permission, a name too long, no home folder, a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"`{spec}` cannot be read: {reason}") from error


def _text_of_file(path: Path, name: str, text_key: str) -> Text:
    reader = _READERS.get(path.suffix.lower())
    return (
        Text(name, _size_of(path), partial(reader, path, text_key)) if reader is not None else _plain_text(path, name)
    )


def _plain_text(path: Path, name: str, encoding: str = "utf-8-sig") -> Text:
    return Text(name, _size_of(path), partial(_read_file, path, encoding))


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # whoever opens the file meets the problem again, and names it
        return 0


def _read_file(path: Path, encoding: str) -> Iterator[Piece]:
    with open(path, encoding=encoding, newline="") as file:  # no other line ends: the model sees what the file holds
        for piece in read_pieces(file):
            if "\0" in piece.text:
                raise NotTextError("binary")
            yield piece


def _read_string(text: str) -> Iterator[Piece]:
    return read_pieces(io.StringIO(text, newline=""))


def _of_files(spec: str, paths: Iterable[Path], text_key: str, *, nothing: str) -> TextSource:
    texts = tuple(_text_of_file(path, str(path), text_key) for path in paths)
    if not texts:
        raise DataError(nothing, hint="name a text file, or a folder or glob with text files in it")
    return TextSource(spec, texts)


def _standard_library() -> TextSource:
    files = standard_library_files()
    if not files:
        raise DataError(
            "this Python interpreter comes without the source of its standard library",
            hint="name a text file or a folder instead of `python`",
        )
    texts = tuple(_plain_text(path, str(path), encoding) for path, encoding in files)
    note = f"`{STANDARD_LIBRARY}` means the standard library; the file or folder here is `./{STANDARD_LIBRARY}`"
    return TextSource("the standard library", texts, (note,) if Path(STANDARD_LIBRARY).exists() else ())


def _files_in(folder: Path) -> list[Path]:
    found: list[Path] = []
    for current, subfolders, names in os.walk(folder, onerror=_unreadable_folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(current, name) for name in names if not name.startswith(".")]
    return sorted((path for path in found if path.is_file()), key=lambda path: path.relative_to(folder).as_posix())


def _unreadable_folder(error: OSError) -> None:
    raise DataError(f"folder `{error.filename}` cannot be read: {error.strerror}") from error


def files_matching(pattern: str) -> list[Path]:
    found: set[Path] = set()
    for path in map(Path, glob.iglob(pattern, recursive=True)):
        found.update(_files_in(path) if path.is_dir() else [path] if path.is_file() else [])
    return sorted(found, key=Path.as_posix)


@contextmanager
def _copied(stream: BinaryIO, name: str) -> Iterator[Text]:
    """Copies what can be read only once, for text is read several times: hashed, learned from, encoded."""
    with tempfile.TemporaryDirectory(prefix="alpha-text-") as folder:
        path = Path(folder, "text")
        try:
            with open(path, "wb") as file:
                shutil.copyfileobj(stream, file)
        except OSError as error:
            raise DataError(f"{name} cannot be copied to `{path}`: {error.strerror}") from error
        yield _plain_text(path, name)


def _open_binary(path: Path, spec: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"`{spec}` cannot be read: {error.strerror}") from error


def _missing(spec: str, path: Path) -> DataError:
    try:
        siblings = os.listdir(path.parent)
    except OSError:
        message = f"there is no file or folder `{spec}`, for there is no folder `{path.parent}`"
        return DataError(message, hint="check the path")
    sibling = closest(path.name, siblings)
    if sibling is not None:
        hint = f"did you mean `{path.parent / sibling}`?"
    else:
        everything = "name a file, a folder, a glob, `-` for standard input, or `python` for its standard library"
        hint = did_you_mean(spec, [STANDARD_LIBRARY]) or everything
    return DataError(f"there is no file or folder `{spec}`", hint=hint)
