"""Secrets and addresses that a person keeps in the environment or in the file `.env.local` of the working folder."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from alpha_core.errors import ConfigError

__all__ = ["ENVIRONMENT_FILE", "environment_value", "parse_environment", "required_environment_value", "required_token"]

ENVIRONMENT_FILE = Path(".env.local")

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")


def environment_value(
    name: str, *, environ: Mapping[str, str] | None = None, file: Path = ENVIRONMENT_FILE
) -> str | None:
    """Returns a variable of the process, else of `.env.local`, else None; an empty one counts as missing.

    What it returns may be a secret: it belongs neither on a screen nor in a file. Raises `ConfigError` for a file that
    cannot be read, which names lines, never their content.
    """
    value = (os.environ if environ is None else environ).get(name)
    if value:
        return value
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"`{file}` cannot be read: {reason}") from error
    return parse_environment(text, source=str(file)).get(name) or None


def required_environment_value(
    name: str, *, environ: Mapping[str, str] | None = None, file: Path = ENVIRONMENT_FILE
) -> str:
    """Returns what `environment_value` does. Raises `ConfigError` where that is None."""
    value = environment_value(name, environ=environ, file=file)
    if value is None:
        raise ConfigError(f"`{name}` is not set", hint=f"set it in the environment or in the file `{file}`")
    return value


def required_token(name: str, *, environ: Mapping[str, str] | None = None, file: Path = ENVIRONMENT_FILE) -> str:
    """Returns a secret that can stand in a header of HTTP. Raises `ConfigError`, without the secret, for any other."""
    token = required_environment_value(name, environ=environ, file=file)
    if not (token.isascii() and token.isprintable()) or token != token.strip():
        raise ConfigError(f"`{name}` must consist of printable ASCII characters, without spaces around them")
    return token


def parse_environment(text: str, *, source: str = str(ENVIRONMENT_FILE)) -> dict[str, str]:
    """Returns the variables of lines `NAME=value`.

    A line may begin with `export`, a value may stand in single or double quotes, and what follows ` #` is a comment;
    nothing is expanded. Of several values of a name the last counts. Raises `ConfigError` for any other line.
    """
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise ConfigError(f"line {number} of `{source}` is not `NAME=value`")
        name, value = match.groups()
        quoted = _QUOTED.fullmatch(value)
        values[name] = quoted[2] if quoted is not None else re.split(r"\s#", value, maxsplit=1)[0].rstrip()
    return values
