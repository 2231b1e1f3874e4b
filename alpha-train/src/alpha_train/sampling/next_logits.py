"""The full forward pass of beam search: the logits of the next token, for many sequences at once."""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.program import Program
from alpha_core.tensor import Tensor
from alpha_model import GPT
from alpha_train.sampling.decoder import TOKENS_AT_ONCE, check_finite, padded_length

__all__ = ["NextLogits"]


@attrs.define
class NextLogits:
    """Computes the logits of the next token with a full forward pass."""

    model: GPT
    backend: Backend
    parameters: Mapping[str, Tensor]
    _programs: dict[tuple[int, int], Program] = attrs.field(factory=dict, init=False)

    def __call__(self, contexts: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """Returns the logits after each of N contexts of 1 to `block_size` tokens. (N, V)

        What a context gets does not depend on the others, but for rounding. Raises `AlphaError` if logits are not
        finite.
        """
        length = padded_length(max(map(len, contexts)), self.model.config.block_size)
        at_once = max(1, TOKENS_AT_ONCE // length)
        parts = [self._forward(contexts[i : i + at_once], length) for i in range(0, len(contexts), at_once)]
        logits = np.concatenate(parts)
        check_finite(logits)
        return logits

    def _forward(self, contexts: Sequence[Sequence[int]], length: int) -> npt.NDArray[np.float64]:
        """Pads the contexts on the right: the model is causal, so what follows a token does not matter to it."""
        count = len(contexts)
        # A program with a few idle rows is cheaper than one more program.
        fitting = [rows for rows, size in self._programs if size == length and count <= rows < 2 * count]
        rows = min(fitting, default=count)
        tokens = np.zeros((rows, length), np.int32)
        last = np.arange(rows, dtype=np.int32) * length
        for row, context in enumerate(contexts):
            tokens[row, : len(context)] = context
            last[row] += len(context) - 1
        if (rows, length) not in self._programs:
            self._programs[rows, length] = self.backend.record(self._record, (tokens, last), name="next_logits")
        (logits,) = self._programs[rows, length](tokens, last)
        return self.backend.download(logits)[:count].astype(np.float64)

    def _record(self, tokens: Tensor, last: Tensor) -> list[Tensor]:
        hidden = self.model.hidden(self.backend, self.parameters, tokens)  # (rows * length, E)
        return [self.model.head(self.backend, self.parameters, self.backend.embedding(hidden, last))]
