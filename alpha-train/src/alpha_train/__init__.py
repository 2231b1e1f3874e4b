"""Training, evaluation and sampling of GPTs. Names are imported on first use.

```python
from alpha_core import load_plugins
from alpha_core.config import RunConfig, TrainConfig
from alpha_train import start_run

start_run(RunConfig(train=TrainConfig(data="books/", iters=500)), load_plugins())
```
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_train.data import prepare as prepare
    from alpha_train.inference import LoadedRun as LoadedRun
    from alpha_train.inference import load_run as load_run
    from alpha_train.loop import TrainResult as TrainResult
    from alpha_train.loop import train as train
    from alpha_train.run import resume_run as resume_run
    from alpha_train.run import start_run as start_run
    from alpha_train.run_folder import RunFolder as RunFolder
    from alpha_train.run_folder import find_run as find_run
    from alpha_train.sampling import Completion as Completion
    from alpha_train.sampling import Sampler as Sampler
    from alpha_train.trainer import Trainer as Trainer

_MODULE_OF = {
    "Completion": "sampling",
    "LoadedRun": "inference",
    "RunFolder": "run_folder",
    "Sampler": "sampling",
    "TrainResult": "loop",
    "Trainer": "trainer",
    "find_run": "run_folder",
    "load_run": "inference",
    "prepare": "data",
    "resume_run": "run",
    "start_run": "run",
    "train": "loop",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_train` has no attribute `{name}`")
    return getattr(import_module(f"alpha_train.{_MODULE_OF[name]}"), name)
