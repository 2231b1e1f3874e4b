"""Losses of a small model over 300 steps, on any backend."""

from functools import cache

import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.config import ModelConfig, TrainConfig
from alpha_model import GPT
from alpha_tensor.cpu_ref.backend import CpuRef
from alpha_train.data import Batch
from alpha_train.optimizers.adamw import AdamW
from alpha_train.trainer import Trainer

__all__ = ["STEPS", "curve", "reference"]

STEPS, ROWS, BLOCK = 300, 4, 24
TEXT = "".join(f"{i} times {j} is {i * j}, and {j} times {i} too.\n" for i in range(2, 12) for j in range(2, 12))
LETTERS = sorted(set(TEXT))
TOKENS = np.array([LETTERS.index(letter) for letter in TEXT], np.int32)
MODEL = ModelConfig(
    vocab_size=len(LETTERS), block_size=BLOCK, n_layer=2, n_embd=32, n_head=2, norm="rms", position="rotary"
)


def curve(backend: Backend, precision: str, *, seed: int = 42, steps: int = STEPS) -> npt.NDArray[np.float64]:
    """Returns the loss of each step. The seed is that of the weights; the batches are always the same."""
    config = TrainConfig(iters=steps, batch_size=ROWS, precision=precision, seed=seed)
    trainer = Trainer(GPT(MODEL), backend, config, AdamW(config))
    generator = np.random.default_rng(0)
    losses = []
    for step in range(steps):
        starts = generator.integers(0, len(TOKENS) - BLOCK - 1, ROWS)
        windows = np.stack([TOKENS[start : start + BLOCK + 1] for start in starts])
        tokens, targets = (np.ascontiguousarray(part) for part in (windows[:, :-1], windows[:, 1:]))
        trainer.accumulate(Batch(tokens, targets, np.arange(ROWS, dtype=np.int32)))
        losses.append(trainer.update(5e-3 * min(1.0, (step + 1) / 20)).loss)
    return np.array(losses)


@cache
def reference() -> npt.NDArray[np.float64]:
    """The losses in float64."""
    return curve(CpuRef(), "f64")
