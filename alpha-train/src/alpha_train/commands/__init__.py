"""The commands of this package: they parse, call the library, and print."""

from alpha_core.command import CommandApp
from alpha_train.commands.data import add_data
from alpha_train.commands.datagen import add_datagen
from alpha_train.commands.eval import add_eval
from alpha_train.commands.plan import add_plan
from alpha_train.commands.runs import add_runs
from alpha_train.commands.sample import add_sample
from alpha_train.commands.train import add_train

__all__ = ["add_commands"]


def add_commands(app: CommandApp) -> None:
    """Adds the commands of this package."""
    add_train(app)
    add_sample(app)
    add_eval(app)
    add_plan(app)
    add_runs(app)
    add_datagen(app)
    add_data(app)
