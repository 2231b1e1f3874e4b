"""The command and group classes behind typer: how arguments are read, and what `--help` and mistakes look like."""

from collections.abc import Iterable
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from alpha_cli.flags import Flag, flag_table, flags_of, read_flags
from alpha_cli.help_text import settings_by_section
from alpha_core.config import Setting, settings_of
from alpha_core.kinds import COMMANDS

__all__ = ["GIVEN_SETTINGS", "Command", "Group"]

GIVEN_SETTINGS = "alpha_cli.given_settings"
"""Where the context keeps the settings whose flags were given, as text by key."""

# Typer keeps the classes of its contexts and formatters private, hence `Any` for both.


class Command(TyperCommand):
    """A command; with `configs`, it has a flag for each of their settings."""

    configs: ClassVar[tuple[type, ...]] = ()
    examples: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[bool] = False
    """Whether its group means it when no command is named."""

    def settings(self) -> list[Setting]:
        return [setting for config in self.configs for setting in settings_of(config)]

    def flags(self, parameters: Iterable[object]) -> dict[str, Flag]:
        """Returns the flags of its own options and of its settings. Raises `PluginError` if two have one name."""
        return flag_table([*_option_flags(parameters), *flags_of(self.settings())])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        flags = self.flags(self.get_params(ctx))
        rest, ctx.meta[GIVEN_SETTINGS] = read_flags(args, flags, command=ctx.command_path)
        return super().parse_args(ctx, rest)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        super().format_options(ctx, formatter)
        for heading, rows in settings_by_section(self.settings()):
            with formatter.section(heading):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                _write_lines(formatter, self.examples)


class Group(TyperGroup):
    """A command group; without arguments it shows its help, and a missing command says what to install."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args:
            typer.echo(ctx.get_help())
            ctx.exit()
        args = self._with_default(args)
        flags = flag_table(_option_flags(self.get_params(ctx)))
        rest, _ = read_flags(args, flags, command=ctx.command_path, interspersed=False)
        return super().parse_args(ctx, rest)

    def _with_default(self, args: list[str]) -> list[str]:
        """Returns the arguments with the name of the default command in front, if they begin with a flag of it."""
        names = [name for name, command in self.commands.items() if isinstance(command, Command) and command.default]
        if names and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            return [names[0], *args]
        return args

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name = args[0]
        if name not in self.commands:
            groups = ctx.command_path.split()[1:]
            known = [" ".join([*groups, command]) for command in self.commands]
            raise ctx.obj.missing(COMMANDS, " ".join([*groups, name]), known)
        return name, self.commands[name], args[1:]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        if self.epilog:
            formatter.write_paragraph()
            _write_lines(formatter, self.epilog.splitlines())


def _option_flags(parameters: Iterable[object]) -> list[Flag]:
    """Returns the flags of a command's own options."""
    flags = []
    for option in parameters:
        if not isinstance(option, TyperOption):
            continue
        values = 0 if option.is_flag or option.count else option.nargs
        for spellings, others in ((option.opts, option.secondary_opts), (option.secondary_opts, option.opts)):
            opposite = others[0] if others else None
            flags += [
                Flag(spelling=spelling, values=values, opposite=opposite, hidden=option.hidden)
                for spelling in spellings
            ]
    return flags


def _write_lines(formatter: Any, lines: Iterable[str]) -> None:
    """Writes lines as they are, where typer's own methods would wrap them."""
    for line in lines:
        formatter.write(f"{'':>{formatter.current_indent}}{line}".rstrip() + "\n")
