"""Command lines that are built from a few plugins of the test's own."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import typer

from alpha_cli.app import build_app
from alpha_cli.errors import report
from alpha_core.command import CommandApp
from alpha_core.hookspecs import hookimpl
from alpha_core.plugins import Plugins

RunCommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def plugins() -> Plugins:
    return Plugins()


@pytest.fixture
def add_commands(plugins: Plugins) -> Callable[..., None]:
    """Registers a plugin whose `register_commands` is the given function."""

    def add(register: Callable[[CommandApp], None], *, name: str = "throwaway") -> None:
        plugins.register(SimpleNamespace(register_commands=hookimpl(register)), name=name)

    return add


@pytest.fixture
def run(plugins: Plugins, capsys: pytest.CaptureFixture[str]) -> RunCommandLine:
    """Runs one command line on those plugins; returns exit code, output and error output."""

    def run(*arguments: str) -> tuple[int, str, str]:
        command = typer.main.get_command(build_app(plugins))
        code = 0
        try:
            with command.make_context("alpha", list(arguments), obj=plugins) as context:
                command.invoke(context)
        except typer.Exit as done:
            code = done.exit_code
        except Exception as error:  # noqa: BLE001 - as the entry point does
            code = report(error, debug=False)
        return code, *capsys.readouterr()

    return run
