"""Contracts of the Alpha toolkit. Names are imported on first use, so that listing starts fast."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_core.backend import Backend as Backend
    from alpha_core.dtype import DType as DType
    from alpha_core.errors import AlphaError as AlphaError
    from alpha_core.expression import Expression as Expression
    from alpha_core.hookspecs import hookimpl as hookimpl
    from alpha_core.observer import MetricSink as MetricSink
    from alpha_core.observer import Observer as Observer
    from alpha_core.optimizer import Optimizer as Optimizer
    from alpha_core.plugins import Plugins as Plugins
    from alpha_core.plugins import load_plugins as load_plugins
    from alpha_core.program import Program as Program
    from alpha_core.tensor import Tensor as Tensor
    from alpha_core.tokenizer import Tokenizer as Tokenizer

_MODULE_OF = {
    "AlphaError": "errors",
    "Backend": "backend",
    "DType": "dtype",
    "Expression": "expression",
    "MetricSink": "observer",
    "Observer": "observer",
    "Optimizer": "optimizer",
    "Plugins": "plugins",
    "Program": "program",
    "Tensor": "tensor",
    "Tokenizer": "tokenizer",
    "hookimpl": "hookspecs",
    "load_plugins": "plugins",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_core` has no attribute `{name}`")
    return getattr(import_module(f"alpha_core.{_MODULE_OF[name]}"), name)
