"""The model options that the tests go through: each alone, and some together."""

import numpy as np
import numpy.typing as npt

from alpha_core.config import ModelConfig
from alpha_model import GPT
from alpha_model.plugin import register_activations

VOCABULARY, BLOCK = 11, 6

OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "tied": {"tie_embeddings": True},
    "bias": {"bias": True},
    "rms": {"norm": "rms"},
    "rotary": {"position": "rotary"},
    "qk_norm": {"qk_norm": True},
    "soft_cap": {"soft_cap": 1.5},
    "dropout": {"dropout": 0.3},
    "ffn_width": {"ffn_width": 20},
    **{info.name: {"activation": info.name} for info in register_activations()},
    "modern": {"norm": "rms", "position": "rotary", "qk_norm": True, "activation": "swiglu", "tie_embeddings": True},
    "everything": {"bias": True, "position": "rotary", "soft_cap": 2.0, "activation": "kan", "dropout": 0.2},
}


def make_model(**options: object) -> GPT:
    """Returns a model of two layers, small enough for finite differences."""
    settings: dict[str, object] = {
        "vocab_size": VOCABULARY,
        "block_size": BLOCK,
        "n_layer": 2,
        "n_embd": 8,
        "n_head": 2,
    }
    return GPT(ModelConfig(**{**settings, **options}))  # type: ignore[arg-type]


def make_parameters(model: GPT, seed: int = 0) -> dict[str, npt.NDArray[np.float64]]:
    """Returns float64 values that are larger than an initialization, so that nothing is nearly linear."""
    generator = np.random.default_rng(seed)
    initial = model.initial_parameters(seed)
    return {name: value + 0.3 * generator.standard_normal(value.shape) for name, value in initial.items()}
