"""JSON Lines: a file with a JSON object on each line."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpha_core.errors import DataError
from alpha_train.data.document import Piece
from alpha_train.data.record import pieces_of_record

__all__ = ["read_jsonl"]

_BLANKS = b" \t\r\n"
_LONGEST_LINE = 1 << 28
"""Bytes; a file of another kind may be one line, and must not fill the memory."""


def read_jsonl(path: Path, text_key: str) -> Iterator[Piece]:
    """Yields the documents of a file, read line by line; blank lines do not count.

    Raises `DataError` with the number of the line for one that cannot be used: nothing is left out in silence.
    """
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                if line.strip(_BLANKS):
                    yield from pieces_of_record(_object_of(line), text_key)
            except DataError as error:
                raise DataError(f"`{path}`, line {number}: {error.message}", hint=error.hint) from error


def _object_of(line: bytes) -> dict[str, Any]:
    if len(line) > _LONGEST_LINE:
        raise DataError(f"it is longer than {_LONGEST_LINE >> 20} MiB")
    try:
        content = json.loads(line.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError as error:
        raise DataError("it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(f"it is not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError("it is no JSON object", hint='a line reads {"text": "..."} or {"messages": [...]}')
    return content
