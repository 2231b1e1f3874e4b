"""Reverse-mode automatic differentiation over any Alpha backend. Names are imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_autograd.activation_checkpoint import checkpoint as checkpoint
    from alpha_autograd.check import check_grads as check_grads
    from alpha_autograd.gradients import GRADIENTS as GRADIENTS
    from alpha_autograd.gradients import NO_GRAD as NO_GRAD
    from alpha_autograd.tape import Tape as Tape

_MODULE_OF = {
    "GRADIENTS": "gradients",
    "NO_GRAD": "gradients",
    "Tape": "tape",
    "check_grads": "check",
    "checkpoint": "activation_checkpoint",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_autograd` has no attribute `{name}`")
    return getattr(import_module(f"alpha_autograd.{_MODULE_OF[name]}"), name)
