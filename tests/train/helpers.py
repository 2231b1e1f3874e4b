"""Small trainers and batches for the tests of training."""

import numpy as np

from alpha_core.config import ModelConfig, TrainConfig
from alpha_model import GPT
from alpha_tensor import CpuRef
from alpha_train.data import Batch
from alpha_train.optimizers.adamw import AdamW
from alpha_train.trainer import Trainer

VOCABULARY, BLOCK = 17, 8


def make_trainer(dropout: float = 0.0, **settings: object) -> Trainer:
    model = ModelConfig(
        vocab_size=VOCABULARY, block_size=BLOCK, n_layer=2, n_embd=16, n_head=2, dropout=dropout, activation="kan"
    )
    config = TrainConfig(**{"iters": 20, "batch_size": 4, "lr": 1e-2, **settings})  # type: ignore[arg-type]
    return Trainer(GPT(model), CpuRef(), config, AdamW(config))


def make_batch(seed: int, rows: int = 4, first_row: int = 0) -> Batch:
    generator = np.random.default_rng(seed)
    tokens = generator.integers(0, VOCABULARY, (rows, BLOCK + 1)).astype(np.int32)
    return Batch(
        np.ascontiguousarray(tokens[:, :-1]),
        np.ascontiguousarray(tokens[:, 1:]),
        np.arange(first_row, first_row + rows, dtype=np.int32),
    )


def state_of(trainer: Trainer) -> dict[str, np.ndarray]:
    """Returns copies of all parameters and moments."""
    host = dict(trainer.parameters_on_host())
    for name, slots in trainer.state_on_host().items():
        host.update({f"{name}.{slot}": array for slot, array in slots.items()})
    return host
