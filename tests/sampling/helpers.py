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


def full_forward(sampler: Sampler, sequence: list[int]) -> npt.NDArray[Any]:
    """Returns the logits after the last of at most block_size tokens, computed alone and without padding. (V,)"""
    window = np.array([sequence[-sampler.model.config.block_size :]], np.int32)
    logits = sampler.model.logits(sampler.backend, sampler.parameters, sampler.backend.upload(window))
    return sampler.backend.download(logits)[-1]


def draft(sampler: Sampler, prompt: str, config: SampleConfig) -> Draft:
    """Returns a text in which nothing is written yet."""
    return Draft.of(prompt, 0, sampler.tokenizer, config, sampler.model.config.block_size)
