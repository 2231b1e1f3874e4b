"""Decoder-only GPT models on any Alpha backend. Names are imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_model.activation import Activation as Activation
    from alpha_model.cache import KeyValueCache as KeyValueCache
    from alpha_model.gpt import GPT as GPT
    from alpha_model.gpt import Randomness as Randomness
    from alpha_model.parameters import ParameterSpec as ParameterSpec
    from alpha_model.parameters import parameter_specs as parameter_specs

_MODULE_OF = {
    "Activation": "activation",
    "GPT": "gpt",
    "KeyValueCache": "cache",
    "ParameterSpec": "parameters",
    "Randomness": "gpt",
    "parameter_specs": "parameters",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_model` has no attribute `{name}`")
    return getattr(import_module(f"alpha_model.{_MODULE_OF[name]}"), name)
