"""What this package registers with Alpha: the commands `alpha export` and `alpha import`."""

from typing import TYPE_CHECKING

from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.command import CommandApp


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_interchange.commands import add_commands

    add_commands(app)
