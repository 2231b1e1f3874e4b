"""Causal attention alone, forward and backward, as a recorded program."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from benchmarks.peers.alpha.setup import open_backend
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]

_WARM_UP = 3


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `backend`. Queries, keys and values are (B, H, T, D) and already lie on the device."""
    facts: dict[str, Any] = {}
    backend = open_backend(settings["backend"], facts)
    shape = [case[name] for name in ("batch_size", "n_head", "block_size", "head_width")]
    values = np.random.default_rng(0).standard_normal((4, *shape))
    query, key, value, upstream = (backend.upload(part, DType.f32) for part in values)

    def forward_and_backward() -> Sequence[Tensor]:
        mixed, log_sum_exp = backend.attention(query, key, value)
        return backend.attention_grad(upstream, query, key, value, mixed, log_sum_exp)

    program = backend.record(forward_and_backward, (), name="attention")

    def run() -> None:
        program()

    for _ in range(_WARM_UP):
        run()
    return Prepared(run, facts)
