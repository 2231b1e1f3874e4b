"""The parts of `--help` that typer does not write: settings by section, examples, exit codes."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from alpha_core import errors
from alpha_core.config import Setting

__all__ = ["BROKEN_PIPE", "INTERRUPTED", "TERMINATED", "UNEXPECTED", "exit_codes", "setting_row", "settings_by_section"]

UNEXPECTED = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143


def exit_codes() -> list[tuple[int, str]]:
    """Returns every exit code of the command with its meaning; those of errors come from the error classes."""
    names: dict[int, list[str]] = {}
    for name in errors.__all__:
        kind = getattr(errors, name)
        if "exit_code" in vars(kind) and kind is not errors.AlphaError:
            names.setdefault(kind.exit_code, []).append(_words(name))
    return [
        (0, "success"),
        (errors.AlphaError.exit_code, "an error of none of these kinds"),
        *((code, f"{', '.join(words)} error") for code, words in sorted(names.items())),
        (UNEXPECTED, "an unexpected error: a bug in Alpha or in a plugin"),
        (INTERRUPTED, "interrupted with Ctrl-C"),
        (BROKEN_PIPE, "the reader of the output went away"),
        (TERMINATED, "ended by SIGTERM"),
    ]


def settings_by_section(settings: Iterable[Setting]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns a heading and the rows of a definition list for each section."""
    return [
        (f"{section.capitalize()} settings", [setting_row(setting) for setting in group])
        for section, group in groupby(settings, key=lambda setting: setting.section)
    ]


def setting_row(setting: Setting) -> tuple[str, str]:
    """Returns what `--help` says of a setting: `--n-layer <int>`, and its meaning with aliases and default."""
    negative = "--no-" + setting.flag.removeprefix("--")
    left = f"{setting.flag} / {negative}" if setting.type is bool else f"{setting.flag} <{_placeholder(setting)}>"
    also = f"  [also {', '.join(setting.alias_flags)}]" if setting.aliases else ""
    default = setting.text(setting.default)
    return left, f"{setting.help}{also}" + (f"  [default: {default}]" if default else "")


def _placeholder(setting: Setting) -> str:
    if setting.choices is not None:
        return "|".join(setting.choices)
    names: dict[Any, str] = {int: "int", float: "float", str: "str"}
    return "text" if setting.texts else names.get(setting.type, "names")


def _words(class_name: str) -> str:
    """`NotInstalledError` is `not installed`."""
    stem = class_name.removesuffix("Error")
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in stem).strip()
