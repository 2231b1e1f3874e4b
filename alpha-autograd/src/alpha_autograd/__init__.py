"""Reverse-mode automatic differentiation over any Alpha backend."""

from alpha_autograd.check import check_grads
from alpha_autograd.checkpoint import checkpoint
from alpha_autograd.gradients import GRADIENTS, NO_GRAD
from alpha_autograd.tape import Tape

__all__ = ["GRADIENTS", "NO_GRAD", "Tape", "check_grads", "checkpoint"]
__version__ = "0.1.0"
