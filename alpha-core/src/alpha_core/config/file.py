"""Config files: TOML or JSON, by suffix."""

import json
import tomllib
from pathlib import Path
from typing import Any

from alpha_core.errors import ConfigError

__all__ = ["read_config_file"]


def read_config_file(path: Path) -> dict[str, Any]:
    """Returns the content of a config file as it stands, unchecked.

    Raises `ConfigError`, with the line of a mistake in the syntax, when there is no such file or it cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in (".toml", ".json"):
        raise ConfigError(f"config file `{path}` is neither a `.toml` nor a `.json` file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"there is no config file `{path}`") from None
    except OSError as error:
        raise ConfigError(f"config file `{path}` cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"config file `{path}`, line {line}: not UTF-8 text") from error
    try:
        return tomllib.loads(text) if suffix == ".toml" else _read_json(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config file `{path}` is no valid TOML: {error}") from error
    except json.JSONDecodeError as error:
        place = f"at line {error.lineno}, column {error.colno}"
        raise ConfigError(f"config file `{path}` is no valid JSON: {error.msg} ({place})") from error
    except (ValueError, RecursionError) as error:  # a key twice, a number of thousands of digits, endless nesting
        raise ConfigError(f"config file `{path}` cannot be read: {error}") from error


def _read_json(text: str) -> dict[str, Any]:
    content = json.loads(text, object_pairs_hook=_without_duplicates)
    if not isinstance(content, dict):
        raise ValueError("it holds no object `{...}`")
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key `{twice}` stands twice in one object")
    return content
