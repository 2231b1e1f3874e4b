"""The commands `alpha train`, `alpha sample` and `alpha eval`: they parse, call the library, and print."""

from alpha_core.command import CommandApp
from alpha_train.commands.eval import add_eval
from alpha_train.commands.sample import add_sample
from alpha_train.commands.train import add_train

__all__ = ["add_commands"]


def add_commands(app: CommandApp) -> None:
    """Adds the commands of this package."""
    add_train(app)
    add_sample(app)
    add_eval(app)
