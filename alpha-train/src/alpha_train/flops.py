"""How many floating-point operations training a GPT takes: its matrix products, counted exactly.

A multiplication and an addition count as two. Everything else (norms, activations, softmax) is left out, as is usual:
it is a few percent at most.
"""

import math
from collections.abc import Sequence

import attrs

from alpha_core.config import ModelConfig
from alpha_model.parameters import ParameterSpec

__all__ = ["Flops", "flops_per_token"]


@attrs.frozen(kw_only=True)
class Flops:
    """Matrix-product FLOPs for each token of a full window."""

    blocks: int
    """Forward pass: the weights of all layers."""
    head: int
    """Forward pass: the output head."""
    attention: int
    """Forward pass: scores and weighted values, T keys for each query (the mask does not save any)."""

    @property
    def forward(self) -> int:
        return self.blocks + self.head + self.attention

    @property
    def training(self) -> int:
        """Forward and backward pass without anything computed twice: three times the forward pass.

        Chowdhery et al. 2022, "PaLM", appendix B, for whom this is what a model needs, however it is computed; their
        6 N + 12 L H Q T is the same count, with N parameters for the weights that are multiplied.
        """
        return 3 * self.forward

    def executed(self, *, recompute: bool = False) -> int:
        """What the composite ops really do: the gradient of attention computes the scores again.

        Its backward pass has five products where the forward pass has two. `recompute` is activation checkpointing,
        which runs every block forward once more.
        """
        again = self.blocks + self.attention if recompute else 0
        return self.training + self.attention // 2 + again


def flops_per_token(config: ModelConfig, specs: Sequence[ParameterSpec]) -> Flops:
    """Counts for one token: two for each weight that is multiplied, and 4 T E a layer for attention.

    The token and position tables are looked up, not multiplied; the head is, tied or not.
    """
    blocks = sum(math.prod(spec.shape) for spec in specs if spec.kind == "matrix")
    return Flops(
        blocks=2 * blocks,
        head=2 * config.vocab_size * config.n_embd,
        attention=4 * config.n_layer * config.block_size * config.n_embd,
    )
