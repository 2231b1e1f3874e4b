"""How much memory training needs, from the shapes of what `GPT` computes and `Tape` keeps.

The figures are those of the reference backend, which computes attention with whole score matrices and one op at a time.
A backend that plans its memory, or fuses attention, needs less.
"""

import math
from collections.abc import Sequence

import attrs

from alpha_core.config import ModelConfig, TrainConfig
from alpha_core.dtype import DType
from alpha_core.optimizer import Optimizer
from alpha_model.parameters import ParameterSpec
from alpha_train.precision import tensor_dtype

__all__ = ["ActivationSizes", "Memory", "activation_sizes", "training_memory"]

_EXPRESSION_WORKSPACE = 36 * 2**15
"""Elements: the reference backend works out an activation's derivative on blocks of 2^15, with 20 (gelu) to 36 (kan) of
them."""


@attrs.frozen(kw_only=True)
class Memory:
    """Bytes."""

    weights: int
    gradients: int
    """The sums over the tokens of a step."""
    optimizer: int
    activations: int
    """What the forward pass of one batch leaves for the backward pass."""
    working: int
    """What else is there at the worst moment: scores of attention, gradients on their way into the sums."""
    checkpoint: int
    """A checkpoint file, which holds weights and optimizer state in f32; not part of the peak."""

    @property
    def peak(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.working


@attrs.frozen(kw_only=True)
class ActivationSizes:
    """Elements for each token, B T of which are in a batch: the tape keeps every result but views until it is used."""

    embedding: int
    block: int
    """Of one layer."""
    residual: int
    """Of one layer's output alone, which is all that activation checkpointing keeps."""
    head: int
    scores: int
    """In the gradient of attention, while it lasts."""
    mlp: int
    """In the gradient of the MLP, while it lasts."""


def activation_sizes(config: ModelConfig, *, gated: bool) -> ActivationSizes:
    """Returns the sizes for a model. Each line is one step of `GPT`, in its order."""
    width, hidden = config.n_embd, config.resolved_ffn_width(gated=gated)
    linear = 2 if config.bias else 1  # the product, and the sum with the bias
    dropped = 1 if config.dropout > 0 else 0
    attention = (
        width  # norm
        + 3 * width * linear  # query, key and value; their parts are views
        + (2 * width if config.qk_norm else 0)
        + (2 * width if config.position == "rotary" else 0)
        + width  # weighted values
        + config.n_head  # logarithms of the denominators
        + width  # heads side by side
        + width * linear
        + width * dropped
        + width  # residual
    )
    mlp = (
        width  # norm
        + 2 * hidden  # product, activation (which adds the bias)
        + (hidden * linear + hidden if gated else 0)  # up, and gate times up
        + width * linear
        + width * dropped
        + width  # residual
    )
    # In the gradient of attention: scores, weights, their gradients (two on the way), and for dropout the mask (made in
    # f64) and the dropped weights, for the cap its slope.
    score_matrices = 5 + (3 if config.dropout > 0 else 0) + (1 if config.soft_cap > 0 else 0)
    return ActivationSizes(
        embedding=width * (1 + (config.position == "learned") + dropped),
        block=attention + mlp,
        residual=width,
        head=width + config.vocab_size + 1,  # norm, logits, loss
        scores=score_matrices * config.n_head * config.block_size,
        mlp=2 * hidden,
    )


def training_memory(
    config: ModelConfig, train: TrainConfig, specs: Sequence[ParameterSpec], optimizer: Optimizer, *, gated: bool
) -> Memory:
    """Returns what one training step needs. B = `batch_size` sequences at a time, whatever `accum_steps` is."""
    itemsize = tensor_dtype(train.precision).itemsize
    parameters = sum(math.prod(spec.shape) for spec in specs)
    slots = sum(
        math.prod(shape) for spec in specs for shape in optimizer.slots(spec.name, spec.shape, spec.kind).values()
    )
    tokens = train.batch_size * config.block_size
    sizes = activation_sizes(config, gated=gated)
    tables = config.block_size * config.head_width if config.position == "rotary" else 0  # cosines and sines of a layer
    full_block = sizes.block * tokens + tables
    block = sizes.residual * tokens if train.activation_checkpointing else full_block
    kept = (sizes.embedding + sizes.head) * tokens + config.n_layer * block
    replayed = full_block if train.activation_checkpointing else 0
    peak = _peak_of_backward(config, specs, sizes, tokens, block, replayed)
    return Memory(
        weights=parameters * itemsize,
        gradients=parameters * itemsize,
        optimizer=slots * itemsize,
        activations=kept * itemsize,
        working=(max(peak, kept) - kept) * itemsize,
        checkpoint=(parameters + slots) * DType.f32.itemsize,
    )


def _peak_of_backward(
    config: ModelConfig, specs: Sequence[ParameterSpec], sizes: ActivationSizes, tokens: int, block: int, replayed: int
) -> int:
    """Returns the most elements at once during the backward pass, beside weights, gradient sums and optimizer state.

    It goes from the head down: each layer gives its activations back. The gradient of a parameter is added to its sum
    as soon as it is there; meanwhile there are the gradient and the new sum beside the old one.
    """
    largest_in_layer = max(math.prod(spec.shape) for spec in specs if spec.name.startswith("layer.0."))
    tables = max(math.prod(spec.shape) for spec in specs if spec.kind == "embedding")
    head = config.vocab_size * config.n_embd
    embedding = sizes.embedding * tokens
    logits = config.vocab_size * tokens
    at_head = embedding + config.n_layer * block + sizes.head * tokens + max(3 * logits, 2 * head)
    largest = max(sizes.scores * tokens, sizes.mlp * tokens + _EXPRESSION_WORKSPACE)
    passing = largest + 4 * config.n_embd * tokens + replayed + 2 * largest_in_layer
    at_layers = embedding + config.n_layer * block + passing
    at_end = 2 * config.n_embd * tokens + 2 * tables
    return max(at_head, at_layers, at_end)
