"""A small model with arbitrary weights, and ways to look at it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig, SampleConfig
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT
from alpha_tensor import CpuRef
from alpha_tokenizers import CharTokenizer
from alpha_train.sampling import Sampler
from alpha_train.sampling.draft import Draft

TEXT = "to be, or not to be: that is the question\n" * 3


def make_sampler(seed: int = 0, block_size: int = 8, tokenizer: Tokenizer | None = None) -> Sampler:
    """Returns a sampler of a model in float64."""
    tokenizer = tokenizer or CharTokenizer.train([TEXT])
    config = ModelConfig(vocab_size=tokenizer.vocab_size, block_size=block_size, n_layer=2, n_embd=16, n_head=2)
    model, backend = GPT(config), CpuRef()
    generator = np.random.default_rng(seed)
    values = {
        name: value + 0.4 * generator.standard_normal(value.shape)
        for name, value in model.initial_parameters(0).items()
    }
    return Sampler(model, backend, {name: backend.upload(value) for name, value in values.items()}, tokenizer)


def seen(prompt: list[int], written: list[int], block_size: int) -> list[int]:
    """Returns what a model sees: once its block is full, the last half of it is kept, and it fills up again."""
    context = prompt[-block_size:]
    for token in written:
        if len(context) == block_size:
            context = context[-(block_size // 2) :] if block_size > 1 else []
        context.append(token)
    return context


def full_forward(sampler: Sampler, prompt: list[int], written: list[int]) -> npt.NDArray[Any]:
    """Returns the logits of what follows, computed alone, without padding and without a cache. (V,)"""
    window = np.array([seen(prompt, written, sampler.model.config.block_size)], np.int32)
    logits = sampler.model.logits(sampler.backend, sampler.parameters, sampler.backend.upload(window))
    return sampler.backend.download(logits)[-1]


def draft(sampler: Sampler, prompt: str, config: SampleConfig) -> Draft:
    """Returns a text in which nothing is written yet."""
    return Draft.of(prompt, 0, sampler.tokenizer, config, sampler.model.config.block_size)
