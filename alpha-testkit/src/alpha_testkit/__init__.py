"""Conformance kits for plugins of Alpha: subclass the kit of a part in a test file, and pytest runs it.

Names are imported on first use, so that a command line that only lists starts fast.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_testkit.activation import ActivationConformance as ActivationConformance
    from alpha_testkit.backend import BackendConformance as BackendConformance
    from alpha_testkit.optimizer import OptimizerConformance as OptimizerConformance
    from alpha_testkit.schedule import ScheduleConformance as ScheduleConformance
    from alpha_testkit.sink import SinkConformance as SinkConformance
    from alpha_testkit.tokenizer import TokenizerConformance as TokenizerConformance

_MODULE_OF = {
    "ActivationConformance": "activation",
    "BackendConformance": "backend",
    "OptimizerConformance": "optimizer",
    "ScheduleConformance": "schedule",
    "SinkConformance": "sink",
    "TokenizerConformance": "tokenizer",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"

# Under pytest, asserts of the kits explain themselves like those of a test file. Elsewhere nothing is imported.
if "pytest" in sys.modules:
    sys.modules["pytest"].register_assert_rewrite(
        *(f"{__name__}.{module}" for module in (*_MODULE_OF.values(), "backend_base", "backend_ops")),
        *(f"{__name__}.{module}" for module in ("backend_record", "backend_storage", "compare")),
    )


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_testkit` has no attribute `{name}`")
    return getattr(import_module(f"alpha_testkit.{_MODULE_OF[name]}"), name)
