"""A training step of Alpha: `Trainer.accumulate` and `Trainer.update`."""

import statistics
import time
from typing import Any

import numpy as np

from alpha_core.backend import Backend
from alpha_core.config import ModelConfig, TrainConfig
from alpha_model import GPT
from alpha_train import Trainer
from alpha_train.data import Batch
from alpha_train.trace import totals
from benchmarks.peers.alpha.setup import PLUGINS, open_backend
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["model_config", "prepare"]

_WARM_UP = 3
_REMEMBERED = 100
"""Steps whose time on the host counts, the last ones."""
_MOST_KERNELS = 12
"""That the facts name."""


def model_config(case: Case) -> ModelConfig:
    """The plain model: layer norm, learned positions, tanh GELU, no dropout, tied head."""
    sizes = {name: case[name] for name in ("n_layer", "n_embd", "n_head", "block_size", "vocab_size", "bias")}
    return ModelConfig(tie_embeddings=True, **sizes)


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `backend`."""
    facts: dict[str, Any] = {}
    backend = open_backend(settings["backend"], facts)
    config = TrainConfig(batch_size=case["batch_size"], precision=case["precision"], lr=1e-3)
    trainer = Trainer(GPT(model_config(case)), backend, config, PLUGINS.optimizers.get("adamw").load()(config))
    shape = (2, case["batch_size"], case["block_size"])
    tokens, targets = np.random.default_rng(0).integers(0, case["vocab_size"], shape, np.int32)
    batch = Batch(tokens, targets, np.arange(case["batch_size"], dtype=np.int32))

    host: list[float] = []

    def step() -> None:
        began = time.perf_counter()
        trainer.accumulate(batch)
        update = trainer.start_update(1e-3)
        host.append(time.perf_counter() - began)
        facts["loss"] = update().loss
        if backend.is_asynchronous:
            facts["host_seconds"] = statistics.median(host[-_REMEMBERED:])

    step()
    facts["first_loss"] = facts["loss"]
    for _ in range(_WARM_UP - 1):
        step()
    if not backend.in_host_memory:
        backend.start_trace()
        step()
        facts["kernels"] = _profile(backend)
    host.clear()
    return Prepared(step, facts)


def _profile(backend: Backend) -> str:
    """Returns the kernels that took longest, with their share of all and their rates."""
    kernels = totals(backend.stop_trace())
    whole = sum(kernel.seconds for kernel in kernels) or 1.0
    return "; ".join(
        f"{kernel.name} {kernel.seconds / whole:.1%}"
        f" ({kernel.flops / kernel.seconds / 1e12:.3g} TFLOP/s, {kernel.bytes / kernel.seconds / 1e9:.3g} GB/s)"
        for kernel in kernels[:_MOST_KERNELS]
        if kernel.seconds > 0
    )
