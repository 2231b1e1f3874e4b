"""What could come next on a command line: commands, flags, and the values of flags that have a list of them."""

import shlex
from collections.abc import Iterator
from typing import Any

from alpha_cli.commands import Command
from alpha_core.config import Setting
from alpha_core.plugins import Plugins

__all__ = ["SHELLS", "candidates", "script_of"]

_REGISTRY_OF = {
    "activation": "activations",
    "backend": "backends",
    "domain": "domains",
    "optimizer": "optimizers",
    "schedule": "schedules",
    "sinks": "metric_sinks",
    "tokenizer": "tokenizers",
}
"""Flags whose values are the names of parts."""

_BASH = """\
_alpha_completion() {
    local candidate word="${COMP_LINE:0:COMP_POINT}"
    word="${word##*[[:space:]]}"
    COMPREPLY=()
    while IFS= read -r candidate; do
        # Readline takes what is after an equals sign as a word of its own.
        [[ "$word" == *=* ]] && candidate="${candidate#*=}"
        COMPREPLY+=("$candidate")
    done < <(alpha completion candidates "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    [[ "${COMPREPLY[0]}" == *= ]] && compopt -o nospace
}
complete -o default -F _alpha_completion alpha
"""

_ZSH = """\
_alpha() {
    local -a found flags
    local line="${(j: :)words[1,CURRENT-1]} ${PREFIX}"
    found=("${(@f)$(alpha completion candidates "$line" 2>/dev/null)}")
    flags=(${(M)found:#*=})
    found=(${found:#*=})
    (( ${#flags} )) && compadd -S '' -- $flags
    (( ${#found} )) && compadd -- $found
    (( ${#flags} + ${#found} )) || _files
}
compdef _alpha alpha
"""

_FISH = """\
complete -c alpha -a '(alpha completion candidates (commandline -cp) 2>/dev/null)'
"""

SHELLS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script_of(shell: str) -> str:
    """Returns the lines that a shell reads to complete `alpha`; they call `alpha completion candidates`."""
    return SHELLS[shell]


def candidates(root: Any, plugins: Plugins, line: str) -> list[str]:
    """Returns the words that could stand at the end of `line`, which begins with `alpha`.

    `root` is typer's command of the application. A flag that takes a value ends with `=`. There is none where a file is
    wanted, which shells complete themselves.
    """
    words, last = _words(line)
    command, is_complete = root, False
    for word in words[1:]:
        subcommands = getattr(command, "commands", None)
        if subcommands is None or word.startswith("-"):
            continue
        if word not in subcommands:
            is_complete = True  # an unknown command has nothing after it
            break
        command = subcommands[word]
    if is_complete:
        return []
    flag, equals, value = last.partition("=")
    if equals:
        return [f"{flag}={known}" for known in _values(command, plugins, flag) if known.startswith(value)]
    if last.startswith("-"):
        return [known for known in _flags(command) if known.startswith(last)]
    return [name for name in getattr(command, "commands", {}) if name.startswith(last)]


def _words(line: str) -> tuple[list[str], str]:
    """Returns the words before the last one, and the last one, which is empty after a space."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote is open
        words = line.split()
    if not words or line[-1:].isspace():
        return words, ""
    return words[:-1], words[-1]


def _flags(command: Any) -> Iterator[str]:
    for option in command.params:
        for spelling in (*option.opts, *option.secondary_opts):
            if spelling.startswith("--") and not getattr(option, "hidden", False):
                yield spelling if option.is_flag or option.count else f"{spelling}="
    for setting in _settings(command):
        if setting.type is bool:
            yield from (setting.flag, "--no-" + setting.flag.removeprefix("--"))
        else:
            yield f"{setting.flag}="


def _values(command: Any, plugins: Plugins, flag: str) -> Iterator[str]:
    key = flag.removeprefix("--").replace("-", "_")
    if key in _REGISTRY_OF:
        yield from getattr(plugins, _REGISTRY_OF[key]).names
    for setting in _settings(command):
        if setting.key == key:
            yield from setting.choices or ()


def _settings(command: Any) -> list[Setting]:
    return command.settings() if isinstance(command, Command) else []
