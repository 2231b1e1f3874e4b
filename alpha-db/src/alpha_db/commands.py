"""`alpha db`."""

from alpha_core.command import CommandApp


def add_commands(app: CommandApp) -> None:
    pass
