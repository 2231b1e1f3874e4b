"""The file `tokenizer.json`: artifacts on disk."""

import json
import os
from pathlib import Path
from typing import Any

from alpha_core.errors import TokenizerError, UsageError
from alpha_tokenizers.quote import quote

__all__ = ["FILE_NAME", "check_free", "read_artifact_file", "write_json_file"]

FILE_NAME = "tokenizer.json"
"""Its name in a run folder."""


def read_artifact_file(path: Path) -> dict[str, Any]:
    """Returns the artifacts in a file, or in the `tokenizer.json` of a folder. What they say is not checked here.

    Raises `TokenizerError` if there is no such file or if it is no JSON object.
    """
    is_folder = os.path.isdir(path)
    file = path / FILE_NAME if is_folder else path
    try:
        artifacts = json.loads(file.read_bytes())
    except FileNotFoundError:
        where = f"the folder `{path}` has no `{FILE_NAME}`" if is_folder else f"there is no file `{path}`"
        raise TokenizerError(where, hint="`alpha tokenizer build` makes one") from None
    except OSError as error:
        raise TokenizerError(f"cannot read `{file}`: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"`{file}` is not JSON: {error}") from error
    if not isinstance(artifacts, dict):
        raise TokenizerError(f"`{file}` is not a tokenizer: it holds {quote(artifacts)}")
    if "model" in artifacts and "type" not in artifacts:
        raise TokenizerError(
            f"`{file}` is a tokenizer of Hugging Face's format", hint=f"`alpha tokenizer import {file}` converts it"
        )
    return artifacts


def check_free(path: Path, *, force: bool) -> None:
    """Raises `UsageError` if writing to `path` would replace something and `force` does not allow that."""
    if os.path.isdir(path):
        raise UsageError(f"`{path}` is a folder", hint=f"write to `{path / FILE_NAME}`")
    if os.path.exists(path) and not force:
        raise UsageError(f"`{path}` exists", hint="`--force` replaces it")


def write_json_file(path: Path, content: dict[str, Any]) -> None:
    """Writes artifacts or another object as UTF-8 JSON, one token a line; the file is complete or not there at all.

    Raises `TokenizerError` if the file cannot be written.
    """
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise TokenizerError(f"cannot write `{path}`: {error.strerror}") from error
