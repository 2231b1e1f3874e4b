"""JSON files that are there completely or not at all, and that are refused in one line when they are damaged."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpha_core.errors import AlphaError
from alpha_train.atomic_file import atomic_write

__all__ = ["read_json", "write_json"]


def write_json(path: Path, content: Mapping[str, Any], error_class: type[AlphaError]) -> None:
    """Writes an object; raises `error_class` if it is no JSON or the file cannot be written."""
    try:
        text = json.dumps(content, indent=2, allow_nan=False)
        with atomic_write(path) as file:
            file.write(text.encode() + b"\n")
    except (TypeError, ValueError) as error:
        raise error_class(f"`{path}` cannot be written: {error}") from error
    except OSError as error:
        raise error_class(f"`{path}` cannot be written: {error.strerror}") from error


def read_json(path: Path, error_class: type[AlphaError]) -> dict[str, Any]:
    """Returns the object in a file; raises `error_class` if there is none."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise error_class(f"`{path}` cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise error_class(f"`{path}` is damaged: {error}") from error
    if not isinstance(content, dict):
        raise error_class(f"`{path}` is damaged: it holds no JSON object")
    return content
