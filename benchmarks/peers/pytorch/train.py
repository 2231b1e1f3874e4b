"""A training step in PyTorch: forward, backward, clipping, AdamW."""

import statistics
import time
from typing import Any

import torch

from benchmarks.peers.pytorch.model import GPT, optimizer_for
from benchmarks.peers.pytorch.setup import autocast, configure, device_of, sizes
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]

_WARM_UP = 3
_REMEMBERED = 100
"""Steps whose time on the host counts, the last ones."""
_COMPILED: dict[str, "dict[str, Any] | None"] = {
    "eager": None,
    "compile": {},
    "compile, CUDA graphs": {"mode": "reduce-overhead"},
}
"""What `torch.compile` is told in each mode; None where it is not called."""


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `threads`, `mode` (a key of `_COMPILED`), `device`. In bf16 the step runs under autocast, weights stay
    f32. On a GPU attention is the fastest that `scaled_dot_product_attention` has for bf16: flash attention.
    """
    configure(settings)
    device, facts = device_of(settings)
    model = GPT(**sizes(case)).to(device)
    optimizer = optimizer_for(model, 1e-3)
    shape = (2, case["batch_size"], case["block_size"])
    batches = torch.randint(0, case["vocab_size"], shape, pin_memory=device.type != "cpu")
    options = _COMPILED[settings["mode"]]
    forward = model if options is None else torch.compile(model, **options)
    host: list[float] = []

    def step() -> None:
        began = time.perf_counter()
        tokens, targets = batches.to(device, non_blocking=True).unbind()
        with autocast(case["precision"], device.type):
            loss = forward(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        host.append(time.perf_counter() - began)
        facts["loss"] = loss.item()
        if device.type != "cpu":
            facts["host_seconds"] = statistics.median(host[-_REMEMBERED:])

    step()
    facts["first_loss"] = facts["loss"]
    for _ in range(_WARM_UP - 1):
        step()
    return Prepared(step, facts)
