"""What all PyTorch cases set."""

import contextlib
from typing import Any

import torch

from benchmarks.peers.serve import Case, Settings

__all__ = ["autocast", "configure", "device_of", "sizes"]


def configure(settings: Settings) -> None:
    """Sets the number of threads and the seed."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)


def device_of(settings: Settings) -> "tuple[torch.device, dict[str, Any]]":
    """Returns what computes, the processor unless `device` says otherwise, and facts about it.

    Raises `RuntimeError` where there is no such device.
    """
    name = settings.get("device", "cpu")
    if name != "cuda":
        return torch.device(name), {}
    if not torch.cuda.is_available():
        raise RuntimeError(f"PyTorch {torch.__version__} finds no CUDA device here")
    facts = {"device": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return torch.device("cuda"), facts


def sizes(case: Case) -> "dict[str, Any]":
    """Returns what decides the shapes of a case's model."""
    return {name: case[name] for name in ("n_layer", "n_embd", "n_head", "block_size", "vocab_size", "bias")}


def autocast(precision: str, device: str = "cpu") -> "contextlib.AbstractContextManager[None]":
    """Returns the context in which products are computed in a precision."""
    if precision == "f32":
        return contextlib.nullcontext()
    if precision == "bf16":
        return torch.autocast(device, torch.bfloat16)
    raise ValueError(f"no precision `{precision}` here")
