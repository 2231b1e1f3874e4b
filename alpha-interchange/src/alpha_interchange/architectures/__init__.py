"""The architectures of `transformers` that Alpha's models can be, each with its names and layouts."""

from alpha_interchange.architectures.architecture import Architecture
from alpha_interchange.architectures.gpt2 import GPT2
from alpha_interchange.architectures.llama import LLAMA

__all__ = ["ARCHITECTURES", "Architecture"]

ARCHITECTURES: dict[str, Architecture] = {architecture.model_type: architecture for architecture in (GPT2, LLAMA)}
"""By `model_type` of a `config.json`."""
