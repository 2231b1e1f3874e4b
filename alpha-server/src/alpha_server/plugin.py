"""What this package registers with Alpha: the command group `ingest`."""

from typing import TYPE_CHECKING

from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.command import CommandApp


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_server.commands import add_commands

    add_commands(app)
