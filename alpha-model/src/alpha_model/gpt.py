"""The decoder-only GPT: one definition, written against `Backend`, for training, evaluation and sampling."""

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from alpha_autograd import checkpoint
from alpha_core.backend import Backend
from alpha_core.config import ModelConfig
from alpha_core.dtype import DType
from alpha_core.errors import ShapeError
from alpha_core.random import RandomStream, stream_id
from alpha_core.tensor import Tensor
from alpha_model.activation import Activation
from alpha_model.cache import KeysAndValues, KeyValueCache
from alpha_model.parameters import ParameterSpec, initial_value, parameter_specs
from alpha_model.weights import Parameters, look_up, project

__all__ = ["GPT", "Randomness"]


@attrs.frozen(eq=False)
class Randomness:
    """What dropout draws from: the run's seed, the step (i32, ()) and each sequence's index in it (i32, (B,))."""

    seed: int
    step: Tensor
    rows: Tensor

    def stream(self, name: str) -> RandomStream:
        """Returns the stream of one place in the model."""
        return RandomStream(self.seed, stream_id(name), self.step, self.rows)


class GPT:
    """A pre-norm transformer decoder (Radford et al. 2019) with the options of `ModelConfig`.

    The model holds no tensors: parameters are passed in by name, so that one object serves any backend. The weights of
    products may be quantized ones (see `alpha_model.weights`), which have no gradient.
    Shapes: B sequences, T tokens, E width, H heads of width D, V vocabulary.
    """

    def __init__(self, config: ModelConfig, activation: Activation | None = None) -> None:
        self.config = config
        self.activation = activation or Activation.builtin(config.activation)
        self.parameter_specs: list[ParameterSpec] = parameter_specs(config, self.activation)

    def initial_parameters(self, seed: int) -> dict[str, npt.NDArray[np.float64]]:
        """Returns initial values by name, the same on every backend."""
        return {spec.name: initial_value(spec, seed) for spec in self.parameter_specs}

    def losses(
        self,
        backend: Backend,
        parameters: Parameters,
        tokens: Tensor,
        targets: Tensor,
        random: Randomness | None = None,
        *,
        recompute: bool = False,
    ) -> Tensor:
        """Returns the negative log-likelihood of each target in nats; 0 where the target is -1. (B * T,)

        tokens and targets (B, T) i32. `recompute` checkpoints each layer's activations.
        """
        logits = self.logits(backend, parameters, tokens, random, recompute=recompute)
        return backend.cross_entropy(logits, backend.reshape(targets, (targets.size,)))

    def logits(
        self,
        backend: Backend,
        parameters: Parameters,
        tokens: Tensor,
        random: Randomness | None = None,
        *,
        recompute: bool = False,
    ) -> Tensor:
        """Returns the scores of the next token after each token. tokens (B, T) i32 gives (B * T, V).

        Dropout acts where `random` is given.
        """
        hidden = self.hidden(backend, parameters, tokens, random, recompute=recompute)
        return self.head(backend, parameters, hidden)

    def hidden(
        self,
        backend: Backend,
        parameters: Parameters,
        tokens: Tensor,
        random: Randomness | None = None,
        *,
        recompute: bool = False,
    ) -> Tensor:
        """Returns the normalized output of the last layer. (B * T, E)"""
        batch, time = tokens.shape
        if time > self.config.block_size:
            raise ShapeError(f"{time} tokens do not fit the block size of {self.config.block_size}")
        x = self._dropout(backend, self._embedded(backend, parameters, tokens), random, "embedding.dropout")
        for layer in range(self.config.n_layer):

            def block(b: Backend, x: Tensor, prefix: str = f"layer.{layer}") -> Tensor:
                return self._block(b, parameters, prefix, x, (batch, time), random)

            x = checkpoint(backend, block, x) if recompute else block(backend, x)
        return self._norm(backend, parameters, "lnF", x)

    def head(self, backend: Backend, parameters: Parameters, hidden: Tensor) -> Tensor:
        """Returns logits from `hidden`. (N, E) gives (N, V)"""
        return project(backend, parameters, self.head_name, hidden)

    def new_cache(self, backend: Backend, rows: int, capacity: int, dtype: DType = DType.f32) -> KeyValueCache:
        """Returns an empty cache for `rows` sequences of up to `capacity` tokens, at most `block_size`."""
        if capacity > self.config.block_size:
            raise ShapeError(f"a cache of {capacity} tokens is larger than the block size of {self.config.block_size}")
        shape = (rows, self.config.n_head, capacity, self.config.head_width)
        layers = [(backend.zeros(shape, dtype), backend.zeros(shape, dtype)) for _ in range(self.config.n_layer)]
        rotary = self._rotary_tables(backend, capacity, dtype) if self.config.position == "rotary" else None
        return KeyValueCache(layers, rotary)

    def prefill(self, backend: Backend, parameters: Parameters, tokens: Tensor) -> list[KeysAndValues]:
        """Returns what a cache keeps of the tokens, for each layer: keys and values, (B, H, T, D) each.

        tokens (B, T) i32 are at the positions 0 ... T - 1. What follows the last layer's keys is not computed.
        """
        x = self._embedded(backend, parameters, tokens)
        kept: list[KeysAndValues] = []
        for layer in range(self.config.n_layer):
            prefix = f"layer.{layer}"
            query, key, value = self._query_key_value(backend, parameters, prefix, x, tokens.shape)
            kept.append((key, value))
            if layer + 1 < self.config.n_layer:
                mixed, _ = backend.attention(query, key, value, self.config.soft_cap)
                x = self._after_attention(backend, parameters, prefix, x, self._merged(backend, mixed))
        return kept

    def decode(
        self, backend: Backend, parameters: Parameters, cache: KeyValueCache, tokens: Tensor, positions: Tensor
    ) -> Tensor:
        """Returns the scores of what follows one more token of each sequence, and adds that token to the cache. (B, V)

        tokens and positions (B,) i32: each sequence is at its own position, 0 ... capacity - 1, and the cache holds all
        its tokens before that. A token at a position that is filled already replaces what is there.
        """
        config = self.config
        x = look_up(backend, parameters, "wte", tokens)  # (B, E)
        if config.position == "learned":
            x = backend.add(x, backend.embedding(parameters["wpe"], positions))
        rotation = [backend.embedding(table, positions) for table in cache.rotary or ()]  # (B, D/2) each
        lengths = backend.add(positions, 1)
        for layer, (keys, values) in enumerate(cache.layers):
            prefix = f"layer.{layer}"
            query, key, value = self._heads(backend, parameters, prefix, x, tokens.shape)  # (B, H, D) each
            if rotation:
                query, key = (_rotated_rows(backend, part, *rotation) for part in (query, key))
            backend.write_rows(keys, key, positions)
            backend.write_rows(values, value, positions)
            mixed = backend.cached_attention(query, keys, values, lengths, config.soft_cap)
            x = self._after_attention(backend, parameters, prefix, x, backend.reshape(mixed, x.shape))
        return self.head(backend, parameters, self._norm(backend, parameters, "lnF", x))

    @property
    def head_name(self) -> str:
        """The parameter that is the output head."""
        return "wte" if self.config.tie_embeddings else "lmHead"

    def _embedded(self, b: Backend, parameters: Parameters, tokens: Tensor) -> Tensor:
        """Returns the input of the first layer. (B, T) gives (B * T, E)"""
        x = look_up(b, parameters, "wte", tokens)  # (B, T, E)
        if self.config.position == "learned":
            x = b.add(x, b.slice(parameters["wpe"], 0, 0, tokens.shape[1]))
        return b.reshape(x, (tokens.size, self.config.n_embd))

    def _block(
        self,
        b: Backend,
        parameters: Parameters,
        prefix: str,
        x: Tensor,
        shape: tuple[int, int],
        random: Randomness | None,
    ) -> Tensor:
        """x + attention(norm(x)), then x + mlp(norm(x)). (B * T, E)"""
        query, key, value = self._query_key_value(b, parameters, prefix, x, shape)
        stream = random.stream(f"{prefix}.attn.dropout") if random is not None else None
        rate = self.config.dropout if stream is not None else 0.0
        mixed, _ = b.attention(query, key, value, self.config.soft_cap, rate, stream)
        return self._after_attention(b, parameters, prefix, x, self._merged(b, mixed), random)

    def _after_attention(
        self,
        b: Backend,
        parameters: Parameters,
        prefix: str,
        x: Tensor,
        mixed: Tensor,
        random: Randomness | None = None,
    ) -> Tensor:
        """Returns a block's output from its input and what attention mixed for it. (N, E) each"""
        attended = self._linear(b, parameters, f"{prefix}.attn.wo", mixed)
        x = b.add(x, self._dropout(b, attended, random, f"{prefix}.attn.output_dropout"))
        transformed = self._mlp(b, parameters, f"{prefix}.mlp", self._norm(b, parameters, f"{prefix}.ln2", x))
        return b.add(x, self._dropout(b, transformed, random, f"{prefix}.mlp.dropout"))

    def _query_key_value(
        self, b: Backend, parameters: Parameters, prefix: str, x: Tensor, shape: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns what attention of a block works on, from the block's input (B * T, E). (B, H, T, D) each"""
        query, key, value = (b.transpose(part, (0, 2, 1, 3)) for part in self._heads(b, parameters, prefix, x, shape))
        if self.config.position == "rotary":
            cosine, sine = self._rotary_tables(b, shape[1], x.dtype)
            query, key = b.rotary(query, cosine, sine), b.rotary(key, cosine, sine)
        return query, key, value

    def _heads(
        self, b: Backend, parameters: Parameters, prefix: str, x: Tensor, shape: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns queries, keys and values by head, before rotations, for tokens of `shape`. (*shape, H, D) each"""
        config = self.config
        width = config.n_embd
        fused = self._linear(b, parameters, f"{prefix}.attn.wqkv", self._norm(b, parameters, f"{prefix}.ln1", x))
        query, key, value = (
            b.reshape(b.slice(fused, 1, index * width, (index + 1) * width), (*shape, config.n_head, config.head_width))
            for index in range(3)
        )
        if config.qk_norm:
            query = b.rms_norm(query, parameters[f"{prefix}.attn.qNorm.weight"], config.norm_eps)
            key = b.rms_norm(key, parameters[f"{prefix}.attn.kNorm.weight"], config.norm_eps)
        return query, key, value

    def _merged(self, b: Backend, mixed: Tensor) -> Tensor:
        """Joins the heads. (B, H, T, D) gives (B * T, E)"""
        batch, _, time, _ = mixed.shape
        return b.reshape(b.transpose(mixed, (0, 2, 1, 3)), (batch * time, self.config.n_embd))

    def _mlp(self, b: Backend, parameters: Parameters, prefix: str, x: Tensor) -> Tensor:
        expression = self.activation.expression
        coefficients = [parameters[f"{prefix}.act.{c.name}"] for c in expression.coefficients()]
        first, last = ("fc_gate", "fc_proj") if self.activation.gated else ("fc1", "fc2")
        product = project(b, parameters, f"{prefix}.{first}", x)
        bias = parameters[f"{prefix}.{first}.bias"] if self.config.bias else None
        inner = b.bias_activation(product, bias, expression, coefficients)
        if self.activation.gated:
            inner = b.mul(inner, self._linear(b, parameters, f"{prefix}.fc_up", x))
        return self._linear(b, parameters, f"{prefix}.{last}", inner)

    def _linear(self, b: Backend, parameters: Parameters, name: str, x: Tensor) -> Tensor:
        product = project(b, parameters, name, x)
        return b.add(product, parameters[f"{name}.bias"]) if self.config.bias else product

    def _norm(self, b: Backend, parameters: Parameters, name: str, x: Tensor) -> Tensor:
        if self.config.norm == "rms":
            return b.rms_norm(x, parameters[f"{name}.weight"], self.config.norm_eps)
        return b.layer_norm(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"], self.config.norm_eps)

    def _dropout(self, b: Backend, x: Tensor, random: Randomness | None, name: str) -> Tensor:
        if random is None or self.config.dropout == 0:
            return x
        return b.dropout(x, self.config.dropout, random.stream(name))

    def _rotary_tables(self, b: Backend, time: int, dtype: DType) -> tuple[Tensor, Tensor]:
        """Returns cosines and sines of position * base^(-2i/D), for channel pair i. (T, D/2) each"""
        half = self.config.head_width // 2
        frequencies = self.config.rope_base ** (-np.arange(half) / half)
        angles = np.arange(time)[:, None] * frequencies
        return b.constant(np.cos(angles), dtype), b.constant(np.sin(angles), dtype)


def _rotated_rows(b: Backend, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotates each sequence's heads by its own angles. x (B, H, D), cosine and sine (B, D/2)"""
    return b.transpose(b.rotary(b.transpose(x, (1, 0, 2)), cosine, sine), (1, 0, 2))
