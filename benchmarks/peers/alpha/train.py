"""A training step of Alpha: `Trainer.accumulate` and `Trainer.update`."""

from typing import Any

import numpy as np

from alpha_core.config import ModelConfig, TrainConfig
from alpha_model import GPT
from alpha_train import Trainer
from alpha_train.data import Batch
from benchmarks.peers.alpha.setup import PLUGINS, open_backend
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["model_config", "prepare"]

_WARM_UP = 3


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

    def step() -> None:
        trainer.accumulate(batch)
        facts["loss"] = trainer.update(1e-3).loss

    step()
    facts["first_loss"] = facts["loss"]
    for _ in range(_WARM_UP - 1):
        step()
    return Prepared(step, facts)
