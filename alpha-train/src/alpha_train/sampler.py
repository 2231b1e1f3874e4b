"""Sampling text from a model."""

from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.config import SampleConfig
from alpha_core.errors import UsageError
from alpha_core.program import Program
from alpha_core.random import random_bits, stream_id
from alpha_core.tensor import Tensor
from alpha_core.tokenizer import END_OF_TEXT, Tokenizer
from alpha_model import GPT

__all__ = ["Sampler", "choose_token", "probabilities"]

Floats = npt.NDArray[np.float64]


def probabilities(logits: Floats, config: SampleConfig) -> Floats:
    """Returns the distribution that a token is drawn from. (V,) to (V,)

    Order: temperature, then the `top_k` likeliest, then the fewest whose probabilities reach `top_p` (Holtzman et
    al. 2019). Temperature 0 puts everything on the likeliest token (the lowest id among equals).
    """
    if config.temperature == 0:
        certain: Floats = np.eye(1, logits.size, int(np.argmax(logits)))[0]
        return certain
    order = np.argsort(-logits, kind="stable")
    if config.top_k:
        order = order[: config.top_k]
    scaled = logits[order] / config.temperature
    kept = np.exp(scaled - scaled[0])
    kept /= kept.sum()
    if config.top_p < 1.0:
        count = int(np.searchsorted(np.cumsum(kept), config.top_p)) + 1
        order, kept = order[:count], kept[:count] / kept[:count].sum()
    distribution = np.zeros(logits.size)
    distribution[order] = kept
    return distribution


def choose_token(logits: Floats, config: SampleConfig, position: int, row: int) -> int:
    """Draws a token; a pure function of the logits, the seed, the position in the sequence and the sample's number."""
    distribution = np.cumsum(probabilities(logits, config))
    word = random_bits(config.sample_seed, stream_id("sample"), position, np.array([row]), 1)[0, 0]
    uniform = (float(word) + 0.5) / 2.0**32
    return int(np.searchsorted(distribution, uniform * distribution[-1], side="right"))


@attrs.define
class Sampler:
    """Continues prompts, one full forward pass for each token.

    Once a sequence is longer than the block size, the model sees its last `block_size` tokens, at positions 0 to
    `block_size` - 1. A sequence ends early at the end-of-text token, which is not returned.
    """

    model: GPT
    backend: Backend
    parameters: Mapping[str, Tensor]
    tokenizer: Tokenizer
    _programs: dict[int, Program] = attrs.field(factory=dict, init=False)

    def sample(self, prompt: str, config: SampleConfig, row: int = 0) -> str:
        """Returns what the model writes after `prompt`, without the prompt. `row` numbers independent samples."""
        return self.tokenizer.decode(list(self.tokens(prompt, config, row)))

    def stream(self, prompt: str, config: SampleConfig, row: int = 0) -> Iterator[str]:
        """Yields the text in pieces as it is written; joined they are what `sample` returns."""
        written: list[int] = []
        shown = ""
        for token in self.tokens(prompt, config, row):
            written.append(token)
            text = self.tokenizer.decode(written)
            if not text.endswith("\N{REPLACEMENT CHARACTER}"):  # a character may take several tokens
                yield text[len(shown) :]
                shown = text
        yield self.tokenizer.decode(written)[len(shown) :]

    def tokens(self, prompt: str, config: SampleConfig, row: int = 0) -> Iterator[int]:
        """Yields the ids of up to `config.steps` tokens."""
        end = self.tokenizer.specials.get(END_OF_TEXT)
        sequence = self.tokenizer.encode(prompt) or ([end] if end is not None else [])
        if not sequence:
            raise UsageError("an empty prompt needs a tokenizer with an end-of-text token", hint="give `--prompt` text")
        for position in range(config.steps):
            token = choose_token(self.next_logits(sequence), config, position, row)
            if token == end:
                return
            sequence.append(token)
            yield token

    def next_logits(self, sequence: Sequence[int]) -> Floats:
        """Returns the scores of the token after `sequence`. (V,)"""
        window = list(sequence)[-self.model.config.block_size :]
        length = 1 << (len(window) - 1).bit_length()  # few lengths, so that few programs are recorded
        length = min(length, self.model.config.block_size)
        padded = np.zeros((1, length), np.int32)  # causal: what follows the window does not matter
        padded[0, : len(window)] = window
        last = np.array([len(window) - 1], np.int32)
        if length not in self._programs:
            self._programs[length] = self.backend.record(self._record, (padded, last), name="next_logits")
        (logits,) = self._programs[length](padded, last)
        scores: Floats = self.backend.download(logits)[0].astype(np.float64)
        return scores

    def _record(self, tokens: Tensor, last: Tensor) -> list[Tensor]:
        hidden = self.model.hidden(self.backend, self.parameters, tokens)  # (T, E)
        return [self.model.head(self.backend, self.parameters, self.backend.embedding(hidden, last))]
