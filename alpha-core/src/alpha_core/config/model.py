"""The architecture of a model."""

from typing import ClassVar

import attrs

from alpha_core.config.section import Constraint, Section
from alpha_core.config.setting import setting

__all__ = ["ModelConfig"]

_LARGEST_ID_COUNT = 2**31 - 1  # token ids are i32


@attrs.frozen(kw_only=True)
class ModelConfig(Section):
    """Everything that decides the shapes and the formula of a decoder-only GPT."""

    section: ClassVar[str] = "model"
    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            ("n_embd", "n_head"),
            lambda n_embd, n_head: n_embd % n_head == 0,
            "{n_embd} must be a multiple of {n_head}",
        ),
        Constraint(
            ("position", "n_embd", "n_head"),
            lambda position, n_embd, n_head: position != "rotary" or n_embd % n_head != 0 or n_embd // n_head % 2 == 0,
            "{position} needs heads of even width, but {n_embd} over {n_head} makes them odd",
        ),
    )

    vocab_size: int = setting(
        256,
        "Number of token ids; training sets it from the tokenizer.",
        aliases=("vocab",),
        minimum=1,
        maximum=_LARGEST_ID_COUNT,
    )
    block_size: int = setting(
        256, "Context length in tokens.", aliases=("block",), minimum=1, maximum=_LARGEST_ID_COUNT
    )
    n_layer: int = setting(6, "Number of transformer blocks.", aliases=("layers",), minimum=1)
    n_embd: int = setting(
        256, "Width of the residual stream; a multiple of n_head.", aliases=("width", "dim", "embd"), minimum=1
    )
    n_head: int = setting(8, "Number of attention heads.", aliases=("heads",), minimum=1)
    dropout: float = setting(0.0, "Probability that an activation is dropped in training.", minimum=0, below=1)
    activation: str = setting(
        "gelu",
        "Activation of the MLP: any registered one; a gated one such as swiglu makes the MLP gated.",
        aliases=("ffn_activation",),
    )
    ffn_width: int = setting(
        0, "Width inside the MLP; 0 means 4 n_embd, or 8/3 n_embd rounded up to a multiple of 64 if gated.", minimum=0
    )
    norm: str = setting("layer", "Normalization before attention, MLP and head.", choices=("layer", "rms"))
    norm_eps: float = setting(1e-5, "Added to the variance (or mean square) in a normalization.", above=0)
    position: str = setting(
        "learned", "Positions: a learned table, or rotations of queries and keys.", choices=("learned", "rotary")
    )
    rope_base: float = setting(10000.0, "Base of the rotary wavelengths.", above=1)
    qk_norm: bool = setting(False, "Normalize queries and keys in each head (RMS, with a learned scale).")
    soft_cap: float = setting(0.0, "Cap attention scores smoothly at +-this, by tanh; 0 is off.", minimum=0)
    tie_embeddings: bool = setting(False, "Use the token embedding as the output head too.")
    bias: bool = setting(False, "Give the linear layers a bias (layer norms always have one).")

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.n_embd // self.n_head

    def resolved_ffn_width(self, *, gated: bool) -> int:
        """Returns the width inside the MLP: `ffn_width`, or if that is 0 what it stands for."""
        if self.ffn_width:
            return self.ffn_width
        return -(-8 * self.n_embd // (3 * 64)) * 64 if gated else 4 * self.n_embd
