"""Every optimizer learns the same small task as well as the package's README promises."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_train import start_run

README = Path(__file__).parents[2] / "alpha-train" / "README.md"
ROW = re.compile(r"^\| `(\w+)` \| [^|]* \| [\d.]+ \| ([\d.]+) \| ([\d.]+) \| [^|]* \|$", re.MULTILINE)
BOUNDS = {name: (float(lr), float(bound)) for name, lr, bound in ROW.findall(README.read_text(encoding="utf-8"))}
"""By optimizer its learning rate for the task, and the validation loss that it must go below."""


def test_every_optimizer_has_a_bound(plugins: Plugins) -> None:
    ours = {info.name for info in plugins.optimizers if plugins.optimizers.owner(info.name) == "train"}
    assert ours == BOUNDS.keys()


@pytest.mark.parametrize("name", BOUNDS)
def test_an_optimizer_reaches_its_bound(name: str, make_config: Callable[..., RunConfig], plugins: Plugins) -> None:
    lr, bound = BOUNDS[name]
    defaults = plugins.optimizers.get(name).defaults
    settings = {**defaults, "iters": 150, "batch_size": 8, "eval_interval": 0, "eval_iters": 0}
    config = make_config(**{**settings, "optimizer": name, "lr": lr})
    loss = start_run(config, plugins).result.progress.validation_loss
    assert loss is not None
    assert loss < bound
