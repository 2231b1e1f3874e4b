"""The decoder-only GPT: one definition, written against `Backend`, for training, evaluation and sampling."""

from collections.abc import Mapping

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
from alpha_model.parameters import ParameterSpec, initial_value, parameter_specs

__all__ = ["GPT", "Randomness"]

Parameters = Mapping[str, Tensor]


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

    The model holds no tensors: parameters are passed in by name, so that one object serves any backend.
    Shapes: B sequences, T tokens, E width, V vocabulary.
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
        x = backend.embedding(parameters["wte"], tokens)  # (B, T, E)
        if self.config.position == "learned":
            x = backend.add(x, backend.slice(parameters["wpe"], 0, 0, time))
        x = backend.reshape(x, (batch * time, self.config.n_embd))
        x = self._dropout(backend, x, random, "embedding.dropout")
        for layer in range(self.config.n_layer):

            def block(b: Backend, x: Tensor, prefix: str = f"layer.{layer}") -> Tensor:
                return self._block(b, parameters, prefix, x, (batch, time), random)

            x = checkpoint(backend, block, x) if recompute else block(backend, x)
        return self._norm(backend, parameters, "lnF", x)

    def head(self, backend: Backend, parameters: Parameters, hidden: Tensor) -> Tensor:
        """Returns logits from `hidden`. (N, E) gives (N, V)"""
        table = parameters["wte" if self.config.tie_embeddings else "lmHead"]
        return backend.matmul(hidden, table, transpose_b=True)

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
        attended = self._attention(b, parameters, prefix, self._norm(b, parameters, f"{prefix}.ln1", x), shape, random)
        x = b.add(x, self._dropout(b, attended, random, f"{prefix}.attn.output_dropout"))
        transformed = self._mlp(b, parameters, f"{prefix}.mlp", self._norm(b, parameters, f"{prefix}.ln2", x))
        return b.add(x, self._dropout(b, transformed, random, f"{prefix}.mlp.dropout"))

    def _attention(
        self,
        b: Backend,
        parameters: Parameters,
        prefix: str,
        x: Tensor,
        shape: tuple[int, int],
        random: Randomness | None,
    ) -> Tensor:
        config = self.config
        batch, time = shape
        width, heads = config.n_embd, config.n_head
        fused = self._linear(b, parameters, f"{prefix}.attn.wqkv", x)  # (B * T, 3E)

        def part(index: int) -> Tensor:
            columns = b.slice(fused, 1, index * width, (index + 1) * width)
            by_head = b.reshape(columns, (batch, time, heads, config.head_width))
            return b.transpose(by_head, (0, 2, 1, 3))  # (B, H, T, D)

        query, key, value = part(0), part(1), part(2)
        if config.qk_norm:
            query = b.rms_norm(query, parameters[f"{prefix}.attn.qNorm.weight"], config.norm_eps)
            key = b.rms_norm(key, parameters[f"{prefix}.attn.kNorm.weight"], config.norm_eps)
        if config.position == "rotary":
            cosine, sine = self._rotary_tables(b, time, x.dtype)
            query, key = b.rotary(query, cosine, sine), b.rotary(key, cosine, sine)
        stream = random.stream(f"{prefix}.attn.dropout") if random is not None else None
        rate = config.dropout if stream is not None else 0.0
        mixed, _ = b.attention(query, key, value, config.soft_cap, rate, stream)
        merged = b.reshape(b.transpose(mixed, (0, 2, 1, 3)), (batch * time, width))
        return self._linear(b, parameters, f"{prefix}.attn.wo", merged)

    def _mlp(self, b: Backend, parameters: Parameters, prefix: str, x: Tensor) -> Tensor:
        expression = self.activation.expression
        coefficients = [parameters[f"{prefix}.act.{c.name}"] for c in expression.coefficients()]
        first, last = ("fc_gate", "fc_proj") if self.activation.gated else ("fc1", "fc2")
        product = b.matmul(x, parameters[f"{prefix}.{first}"], transpose_b=True)
        bias = parameters[f"{prefix}.{first}.bias"] if self.config.bias else None
        inner = b.bias_activation(product, bias, expression, coefficients)
        if self.activation.gated:
            inner = b.mul(inner, self._linear(b, parameters, f"{prefix}.fc_up", x))
        return self._linear(b, parameters, f"{prefix}.{last}", inner)

    def _linear(self, b: Backend, parameters: Parameters, name: str, x: Tensor) -> Tensor:
        product = b.matmul(x, parameters[name], transpose_b=True)
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
