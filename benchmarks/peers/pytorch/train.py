"""A training step in PyTorch: forward, backward, clipping, AdamW."""

import torch

from benchmarks.peers.pytorch.model import GPT, optimizer_for
from benchmarks.peers.pytorch.setup import autocast, configure, sizes
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]

_WARM_UP = 3


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `threads`, `mode` (`eager` or `compile`). In bf16 the step runs under autocast, weights stay f32."""
    configure(settings)
    model = GPT(**sizes(case))
    optimizer = optimizer_for(model, 1e-3)
    tokens, targets = torch.randint(0, case["vocab_size"], (2, case["batch_size"], case["block_size"])).unbind()
    forward = torch.compile(model) if settings["mode"] == "compile" else model
    facts: dict[str, float] = {}

    def step() -> None:
        with autocast(case["precision"]):
            loss = forward(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        facts["loss"] = loss.item()

    step()
    facts["first_loss"] = facts["loss"]
    for _ in range(_WARM_UP - 1):
        step()
    return Prepared(step, facts)
