"""What all PyTorch cases set."""

import contextlib
from typing import Any

import torch

from benchmarks.peers.serve import Case, Settings

__all__ = ["autocast", "configure", "sizes"]


def configure(settings: Settings) -> None:
    """Sets the number of threads and the seed."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)


def sizes(case: Case) -> "dict[str, Any]":
    """Returns what decides the shapes of a case's model."""
    return {name: case[name] for name in ("n_layer", "n_embd", "n_head", "block_size", "vocab_size", "bias")}


def autocast(precision: str) -> "contextlib.AbstractContextManager[None]":
    """Returns the context in which products are computed in a precision."""
    if precision == "f32":
        return contextlib.nullcontext()
    if precision == "bf16":
        return torch.autocast("cpu", torch.bfloat16)
    raise ValueError(f"no precision `{precision}` here")
