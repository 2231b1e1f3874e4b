"""Batches of made-up tokens, for steps whose time is measured."""

import numpy as np

from alpha_core.config import ModelConfig, TrainConfig
from alpha_train.data import Batch

__all__ = ["made_steps"]


def made_steps(model: ModelConfig, train: TrainConfig, count: int) -> list[list[Batch]]:
    """Returns the micro-steps of `count` different steps.

    Tokens are independent, with the frequencies of words in text (Zipf: 1 / rank), so that a model that works lowers
    its loss within a few steps.
    """
    generator = np.random.default_rng(0)
    frequencies = 1.0 / np.arange(1, model.vocab_size + 1)
    shape = (count, train.accum_steps, train.batch_size, model.block_size + 1)
    windows = generator.choice(model.vocab_size, shape, p=frequencies / frequencies.sum()).astype(np.int32)
    return [
        [
            Batch(
                np.ascontiguousarray(windows[step, micro, :, :-1]),
                np.ascontiguousarray(windows[step, micro, :, 1:]),
                np.arange(micro * train.batch_size, (micro + 1) * train.batch_size, dtype=np.int32),
            )
            for micro in range(train.accum_steps)
        ]
        for step in range(count)
    ]
