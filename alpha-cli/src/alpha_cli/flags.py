"""Flags: how a command line spells settings and options, read before typer sees the arguments.

`--key=value` and `--key value` are the same; dashes, underscores and capitals in a name do not matter, so that
`--evalInterval`, `--eval_interval` and `--eval-interval` are one flag; a boolean flag is `--packed`, `--no-packed` or
`--packed=false`. Settings of configuration classes are taken out as text; the other flags go on to typer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from alpha_core.config import Setting, text_of
from alpha_core.errors import PluginError, UsageError
from alpha_core.suggest import did_you_mean

__all__ = ["Flag", "flag_table", "flags_of", "read_flags"]

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


@attrs.frozen(kw_only=True)
class Flag:
    """One spelling of a flag. `--packed` and `--no-packed` are two flags, each the `opposite` of the other."""

    spelling: str
    values: int
    """How many values follow; 0 for a flag that is on or off."""
    key: str | None = None
    """The setting that it sets; None for an option of the command itself."""
    opposite: str | None = None
    sets: str = "true"
    """What a setting becomes when its flag without a value is given."""
    joined: Callable[[str, str], str] | None = None
    """What the values of a flag mean that was given twice; None: the last one counts."""
    hidden: bool = False


def flags_of(settings: Iterable[Setting]) -> list[Flag]:
    """Returns every spelling of the flags of settings."""
    flags = []
    for setting in settings:
        for spelling in (setting.flag, *setting.alias_flags):
            if setting.type is bool:
                negative = "--no-" + spelling.removeprefix("--")
                flags.append(Flag(spelling=spelling, values=0, key=setting.key, opposite=negative))
                flags.append(Flag(spelling=negative, values=0, key=setting.key, opposite=spelling, sets="false"))
            else:
                joined = setting.joined if setting.texts else None
                flags.append(Flag(spelling=spelling, values=1, key=setting.key, joined=joined))
    return flags


@attrs.define
class _Reader:
    """Walks through the arguments of one command, from left to right."""

    arguments: list[str]
    command: str
    known: Mapping[str, Flag]
    rest: list[str] = attrs.field(factory=list)
    settings: dict[str, str] = attrs.field(factory=dict)

    def read(self, *, interspersed: bool) -> None:
        while self.arguments:
            argument = self.arguments.pop(0)
            if argument == "--" or (not _is_flag(argument) and not interspersed):
                self.rest += [argument, *self.arguments]
                return
            if not _is_flag(argument):
                self.rest.append(argument)
            elif argument.startswith("--"):
                self._read_long(argument)
            else:
                self._read_short(argument)

    def _read_long(self, argument: str) -> None:
        name, equals, value = argument.partition("=")
        flag = self.known.get(_fold(name))
        if flag is None:
            raise self._unknown(name)
        values = [value] if equals else []
        if flag.values == 0:
            if not values and flag.key is not None and self.arguments[:1] in (["true"], ["false"]):
                values = [self.arguments.pop(0)]
            self._switch(flag, values)
            return
        while len(values) < flag.values:
            values.append(self._next_value(flag))
        if flag.key is not None:
            if flag.joined is not None and flag.key in self.settings:
                values = [flag.joined(self.settings[flag.key], values[0])]
            self.settings[flag.key] = values[0]
        else:
            self.rest += [f"{flag.spelling}={values[0]}"] if equals else [flag.spelling, *values]

    def _switch(self, flag: Flag, values: list[str]) -> None:
        if not values:
            if flag.key is not None:
                self.settings[flag.key] = flag.sets
            else:
                self.rest.append(flag.spelling)
            return
        text = values[0].lower()
        if text not in _TRUE + _FALSE:
            raise UsageError(f"flag `{flag.spelling}` is on or off, not `{values[0]}`", hint=f"try `{flag.spelling}`")
        on = text in _TRUE
        if flag.key is not None:
            self.settings[flag.key] = text_of(on == (flag.sets == "true"))
        elif on:
            self.rest.append(flag.spelling)
        elif flag.opposite is not None:
            self.rest.append(flag.opposite)

    def _read_short(self, argument: str) -> None:
        """Single letters are typer's business, all but the question whether a value follows."""
        flag = self.known.get(argument[:2])
        if flag is None:
            raise self._unknown(argument)
        self.rest.append(argument)
        if len(argument) == 2:
            self.rest += [self._next_value(flag) for _ in range(flag.values)]

    def _next_value(self, flag: Flag) -> str:
        following = self.arguments[0] if self.arguments else None
        if following is None:
            raise UsageError(f"flag `{flag.spelling}` needs a value")
        if following.startswith("--"):
            hint = f"a value that begins with dashes is written `{flag.spelling}={following}`"
            raise UsageError(f"flag `{flag.spelling}` needs a value before `{following}`", hint=hint)
        return self.arguments.pop(0)

    def _unknown(self, name: str) -> UsageError:
        shown = {flag.spelling for flag in self.known.values() if not flag.hidden}
        hint = did_you_mean(name, shown) or f"`{self.command} --help` lists the flags"
        return UsageError(f"`{self.command}` has no flag `{name}`", hint=hint)


def flag_table(flags: Iterable[Flag]) -> dict[str, Flag]:
    """Returns flags by their names as `read_flags` looks them up. Raises `PluginError` for two flags of one name."""
    table: dict[str, Flag] = {}
    for flag in flags:
        other = table.setdefault(_fold(flag.spelling), flag)
        if other is not flag and (flag.key is None or other.key != flag.key):
            raise PluginError(f"two flags of one command are called `{flag.spelling}`")
    return table


def read_flags(
    arguments: Sequence[str], flags: Mapping[str, Flag], *, command: str, interspersed: bool = True
) -> tuple[list[str], dict[str, str]]:
    """Returns the arguments without the flags of settings, and the text of each setting whose flag was given.

    The flags that remain are in the spelling that typer knows. `interspersed` False stops at the first argument that is
    no flag, the name of a subcommand. Raises `UsageError` for unknown flags and missing values.
    """
    reader = _Reader(list(arguments), command, flags)
    reader.read(interspersed=interspersed)
    return reader.rest, reader.settings


def _is_flag(argument: str) -> bool:
    return len(argument) > 1 and argument.startswith("-") and not argument[1:2].isdigit() and argument[1] != "."


def _fold(spelling: str) -> str:
    """Long names without dashes, underscores and capitals; short ones as they are."""
    return spelling.replace("-", "").replace("_", "").lower() if spelling.startswith("--") else spelling
