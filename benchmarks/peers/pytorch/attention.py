"""Causal attention alone, forward and backward, by `scaled_dot_product_attention`."""

import torch
from torch.nn import functional

from benchmarks.peers.pytorch.setup import configure
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]

_WARM_UP = 3


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `threads`. Queries, keys and values are (B, H, T, D) and already lie so."""
    configure(settings)
    shape = [case[name] for name in ("batch_size", "n_head", "block_size", "head_width")]
    query, key, value, upstream = torch.randn(4, *shape).unbind()
    inputs = [part.clone().requires_grad_() for part in (query, key, value)]

    def run() -> None:
        mixed = functional.scaled_dot_product_attention(*inputs, is_causal=True)
        torch.autograd.grad(mixed, inputs, upstream)

    for _ in range(_WARM_UP):
        run()
    return Prepared(run)
