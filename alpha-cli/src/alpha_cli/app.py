"""The `alpha` application: a typer app that plugins fill with commands."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from alpha_cli import __version__
from alpha_cli.commands import Command, Group
from alpha_cli.errors import say
from alpha_cli.help_text import exit_codes
from alpha_cli.signature import typer_function
from alpha_core.plugins import Plugins

__all__ = ["App", "build_app"]

F = TypeVar("F", bound=Callable[..., Any])


class App(typer.Typer):
    """A typer app that is an `alpha_core.command.CommandApp`.

    Help is plain text: typer's rich formatting alone would take longer to import than everything else.
    """

    def __init__(self, plugins: Plugins, *, help: str, epilog: str | None = None) -> None:
        super().__init__(
            cls=Group,
            help=help,
            epilog=epilog,
            context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
            add_completion=False,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
        )
        self.plugins = plugins
        self._groups: dict[str, App] = {}

    def command(
        self,
        name: str | None = None,
        *,
        help: str | None = None,
        examples: Sequence[str] = (),
        default: bool = False,
        **details: Any,
    ) -> Callable[[F], F]:
        return self._adder(name, _command_class((), examples, default=default), help=help, **details)

    def group(self, name: str, *, help: str) -> "App":
        if name not in self._groups:
            self._groups[name] = App(self.plugins, help=help)
            self.add_typer(self._groups[name], name=name)
        return self._groups[name]

    def config_command(
        self, name: str, *, configs: Sequence[type], help: str, examples: Sequence[str] = ()
    ) -> Callable[[F], F]:
        return self._adder(name, _command_class(configs, examples), help=help, with_settings=True)

    def _adder(
        self, name: str | None, kind: type[Command], *, with_settings: bool = False, **details: Any
    ) -> Callable[[F], F]:
        settings = {"cls": kind, "context_settings": self.info.context_settings, **details}

        def add(function: F) -> F:
            adapted = typer_function(function, with_settings=with_settings)
            # Typer reads signatures when it builds the whole application; read here, a wrong one is its owner's alone.
            trial = typer.Typer(add_completion=False, rich_markup_mode=None)
            trial.command(name, **settings)(adapted)
            command = typer.main.get_command(trial)
            assert isinstance(command, Command)
            command.flags(command.params)
            super(App, self).command(name, **settings)(adapted)
            return function

        return add


def _command_class(configs: Sequence[type], examples: Sequence[str], *, default: bool = False) -> type[Command]:
    """Typer makes the commands itself, given a class; so what is particular to one command is in a class of its own."""
    return type("Command", (Command,), {"configs": tuple(configs), "examples": tuple(examples), "default": default})


def build_app(plugins: Plugins) -> App:
    """Returns the application with the commands of all plugins; one whose commands are wrong is left out."""
    while True:
        app = App(plugins, help="Trains, evaluates and samples GPT-style language models.", epilog=_epilog())
        app.callback()(_root)
        for command in plugins.commands:
            try:
                command.add_to(app)
            except Exception as error:  # noqa: BLE001 - whatever a stranger's signature does is recorded
                plugins.leave_out(command.plugin, error)
                break
        else:
            return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alpha {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors (anywhere on the line).")] = False,
) -> None:
    """Speaks of plugins that are broken; the options have acted before."""
    plugins: Plugins = context.obj
    for note in plugins.notes:
        say("note", note)
    if context.invoked_subcommand != "plugins":
        for record in plugins.records:
            if record.broken is not None:
                say("warning", f"plugin {record.title} is broken and left out: {record.broken}")


def _epilog() -> str:
    lines = [f"  {code:<4} {meaning}" for code, meaning in exit_codes()]
    return "\n".join(["Exit codes:", *lines])
