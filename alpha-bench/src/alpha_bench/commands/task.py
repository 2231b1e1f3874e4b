"""`alpha bench task`."""

import sys

from alpha_core.command import CommandApp

__all__ = ["add_task"]


def add_task(app: CommandApp) -> None:
    """Adds the command `task`."""

    @app.command(
        "task",
        help="Does one measurement that standard input describes; the other commands start it for themselves.",
    )
    def task() -> None:
        from alpha_bench.child import serve

        serve(sys.stdin.read(), app.plugins)
