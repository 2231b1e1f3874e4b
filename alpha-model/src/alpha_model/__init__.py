"""Decoder-only GPT models on any Alpha backend."""

from alpha_model.gpt import GPT, Randomness
from alpha_model.parameters import ParameterSpec, parameter_specs

__all__ = ["GPT", "ParameterSpec", "Randomness", "parameter_specs"]
__version__ = "0.1.0"
