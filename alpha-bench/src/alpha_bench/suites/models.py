"""The models that suites run: small ones up to GPT-2, and a variant with every option that costs time."""

from collections.abc import Mapping
from typing import Any

import attrs

from alpha_core.config import ModelConfig
from alpha_core.expression import X, sigmoid, tanh
from alpha_model import GPT, Activation

__all__ = ["MODELS", "QUICK_MODELS", "BenchModel", "composed_activation"]


def composed_activation() -> Activation:
    """Returns an activation that no kernel was written for: a gated mixture of silu, a square and tanh."""
    silu = X * sigmoid(X)
    return Activation(0.7 * silu + 0.05 * (X * X) + 0.25 * tanh(X), gated=True)


@attrs.frozen(kw_only=True)
class BenchModel:
    """A model with the batch that it is trained with."""

    name: str
    config: ModelConfig
    batch_size: int
    accum_steps: int = 1
    composed: bool = False
    """Whether the activation is `composed_activation`; else it is the one that the configuration names."""

    @property
    def activation(self) -> Activation:
        return composed_activation() if self.composed else Activation.builtin(self.config.activation)

    @property
    def tokens(self) -> int:
        """In one step."""
        return self.batch_size * self.accum_steps * self.config.block_size

    def gpt(self) -> GPT:
        return GPT(self.config, self.activation)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What a result says of the model."""
        return {
            "model": self.name,
            **attrs.asdict(self.config),
            "activation": "composed, gated" if self.composed else self.config.activation,
            "batch_size": self.batch_size,
            "accum_steps": self.accum_steps,
        }

    def variant(self) -> "BenchModel":
        """Returns the model with a gated composed activation, rotary positions, RMS norm, dropout, accumulation 2."""
        config = attrs.evolve(self.config, position="rotary", norm="rms", dropout=0.1)
        return attrs.evolve(self, name=f"{self.name}-variant", config=config, composed=True, accum_steps=2)


def _model(
    name: str, *, layers: int, width: int, heads: int, block: int, batch: int, vocabulary: int, bias: bool = False
) -> BenchModel:
    config = ModelConfig(
        n_layer=layers,
        n_embd=width,
        n_head=heads,
        block_size=block,
        vocab_size=vocabulary,
        tie_embeddings=True,
        bias=bias,
    )
    return BenchModel(name=name, config=config, batch_size=batch)


MODELS: Mapping[str, BenchModel] = {
    model.name: model
    for model in (
        _model("2x64", layers=2, width=64, heads=4, block=64, batch=8, vocabulary=65),
        _model("4x128", layers=4, width=128, heads=4, block=128, batch=16, vocabulary=65),
        _model("6x256", layers=6, width=256, heads=8, block=256, batch=16, vocabulary=2000),
        _model("6x384", layers=6, width=384, heads=6, block=256, batch=8, vocabulary=65),
        _model("gpt2-124m", layers=12, width=768, heads=12, block=256, batch=4, vocabulary=50257, bias=True),
    )
}
"""By name. Tied head and tanh GELU, as GPT-2 has them; only the last has biases, like GPT-2 itself."""

QUICK_MODELS: Mapping[str, BenchModel] = {
    "tiny": _model("tiny", layers=1, width=16, heads=2, block=16, batch=2, vocabulary=32)
}
