"""The commands of this package: they parse, call the library, and print."""

from alpha_bench.commands.compare import add_compare
from alpha_bench.commands.loop import add_loop
from alpha_bench.commands.run import add_run
from alpha_bench.commands.task import add_task
from alpha_bench.commands.tune import add_tune
from alpha_core.command import CommandApp

__all__ = ["add_commands"]

_HELP = (
    "Measures speed and memory.\n\nWithout the name of a command, flags are those of `run`:"
    " `alpha bench --suite=train --backend=cpu`."
)


def add_commands(app: CommandApp) -> None:
    """Adds the group `bench`."""
    group = app.group("bench", help=_HELP)
    add_run(group)
    add_loop(group)
    add_tune(group)
    add_compare(group)
    add_task(group)
