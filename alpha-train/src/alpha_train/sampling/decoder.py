"""Texts that are continued token by token on the device, with a cache of keys and values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.config import SampleConfig
from alpha_core.dtype import DType
from alpha_core.errors import AlphaError
from alpha_core.program import Program
from alpha_core.tensor import Tensor
from alpha_model import GPT

__all__ = ["LONGEST_BURST", "TOKENS_AT_ONCE", "Decoder", "check_finite", "padded_length"]

Integers = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

LONGEST_BURST = 256
"""Tokens of each text that are written without a look from the host, at most."""

TOKENS_AT_ONCE = 8192
"""More are encoded in several passes, so that many samples need no more memory than a training batch."""


class Decoder:
    """B texts of at most `capacity` tokens. One recorded program adds a token to each of them.

    The host holds the texts; the decoder knows of each what its cache holds: all tokens but the last one, which the
    next step reads. Rows that nobody needs are computed along with the others, from position 0.
    """

    def __init__(
        self, model: GPT, backend: Backend, parameters: Mapping[str, Tensor], *, rows: int, capacity: int
    ) -> None:
        self.model, self.backend, self.parameters = model, backend, parameters
        self.rows, self.capacity = rows, capacity
        self._dtype = dtype = parameters["lnF.weight"].dtype
        self._cache = model.new_cache(backend, rows, capacity, dtype)
        self._programs: dict[tuple[Any, ...], Program] = {}
        # The state of a burst.
        self._tokens = backend.zeros((rows,), DType.i32)
        self._start = backend.zeros((rows,), DType.i32)
        self._cursor = backend.zeros((1,), DType.i32)
        self._one = backend.full((1,), 1, DType.i32)
        self._uniforms = backend.zeros((LONGEST_BURST, rows), dtype)
        self._written = backend.zeros((1, 1, LONGEST_BURST, rows), DType.i32)
        self._losses = backend.zeros((1, 1, LONGEST_BURST, rows), dtype)

    def place(self, contexts: Mapping[int, Sequence[int]]) -> None:
        """Gives rows new texts, of 1 to `capacity` tokens; equal ones are encoded once."""
        if not contexts:
            return
        unique = list(dict.fromkeys(map(tuple, contexts.values())))
        number = {context: index for index, context in enumerate(unique)}
        length = padded_length(max(map(len, unique)), self.capacity)
        at_once = max(1, TOKENS_AT_ONCE // length)
        for first in range(0, len(unique), at_once):
            part = unique[first : first + at_once]
            rows = np.arange(self.rows, dtype=np.int32)
            for row, context in contexts.items():
                place = number[tuple(context)] - first
                if 0 <= place < len(part):
                    rows[row] = self.rows + place
            self._encode(part, length, rows)

    def logits(self, tokens: Integers, positions: Integers) -> Floats:
        """Adds one token to each text, at its position, and returns the scores of what follows. (B,) gives (B, V)"""
        program = self._program(("logits",), self._logits_step, tokens, positions)
        (logits,) = program(tokens, positions)
        return self.backend.download(logits).astype(np.float64)

    def write(
        self, uniforms: Floats, tokens: Integers, positions: Integers, config: SampleConfig
    ) -> tuple[Integers, Floats]:
        """Adds one token to each text, draws the next, and so on; returns what was drawn and its log-probability.

        uniforms (N, B) are the random numbers, for N of at most `LONGEST_BURST` tokens; `tokens` (B,) and `positions`
        (B,) those of the first token that is read; the last position is N - 1 further and below the capacity. The
        limits of the draws are those of `config`, but for its repetition penalty. Gives (N, B) twice.
        """
        count = len(uniforms)
        table = np.zeros((LONGEST_BURST, self.rows))
        # Rounded to f32, the largest of 2^32 numbers below 1 would be 1.
        table[:count] = np.minimum(uniforms, np.nextafter(np.float32(1), np.float32(0)))
        for state, values, dtype in (
            (self._tokens, tokens, DType.i32),
            (self._start, positions, DType.i32),
            (self._cursor, np.zeros(1), DType.i32),
            (self._uniforms, table, self._dtype),
        ):
            self.backend.assign(state, self.backend.upload(values, dtype))
        limits = (config.temperature, config.top_k, config.top_p, config.min_p)
        self._program(("write", *limits), lambda: self._write_step(*limits)).repeat(count)
        written, losses = (self.backend.download(buffer)[0, 0, :count] for buffer in (self._written, self._losses))
        return written, -losses.astype(np.float64)

    def _encode(self, contexts: Sequence[Sequence[int]], length: int, rows: Integers) -> None:
        """Encodes texts padded on the right: the model is causal, so what follows a token does not matter to it."""
        known = [key[1] for key in self._programs if key[0] == "encode" and key[2] == length]
        # A program with a few idle rows is cheaper than one more program.
        count = min((n for n in known if len(contexts) <= n < 2 * len(contexts)), default=len(contexts))
        tokens = np.zeros((count, length), np.int32)
        for row, context in enumerate(contexts):
            tokens[row, : len(context)] = context
        self._program(("encode", count, length), self._encode_step, tokens, rows)(tokens, rows)

    def _program(self, key: tuple[Any, ...], function: Any, *examples: npt.NDArray[Any]) -> Program:
        if key not in self._programs:
            self._programs[key] = self.backend.record(function, examples, name=key[0])
        return self._programs[key]

    def _encode_step(self, tokens: Tensor, rows: Tensor) -> list[Tensor]:
        self._cache.place(self.backend, self.model.prefill(self.backend, self.parameters, tokens), rows)
        return []

    def _logits_step(self, tokens: Tensor, positions: Tensor) -> list[Tensor]:
        return [self.model.decode(self.backend, self.parameters, self._cache, tokens, positions)]

    def _write_step(self, temperature: float, top_k: int, top_p: float, min_p: float) -> list[Tensor]:
        backend, rows = self.backend, self.rows
        positions = backend.add(self._start, self._cursor)
        logits = self.model.decode(backend, self.parameters, self._cache, self._tokens, positions)
        uniform = backend.reshape(backend.embedding(self._uniforms, self._cursor), (rows,))
        chosen = backend.choose_token(logits, uniform, temperature, top_k, top_p, min_p)
        losses = backend.cross_entropy(logits, chosen)
        for buffer, values in ((self._written, chosen), (self._losses, losses)):
            backend.write_rows(buffer, backend.reshape(values, (1, 1, rows)), self._cursor)
        backend.assign(self._tokens, chosen)
        backend.add_into(self._cursor, self._one)
        return []


def padded_length(longest: int, limit: int) -> int:
    """Returns the power of two that is at least `longest`, or `limit`: few lengths, so few programs."""
    return min(1 << (longest - 1).bit_length(), limit)


def check_finite(scores: Floats) -> None:
    """Raises `AlphaError` unless all are finite."""
    if not np.isfinite(scores).all():
        raise AlphaError(
            "the model's scores are not finite numbers", hint="its training diverged; try an earlier checkpoint"
        )
