"""Continues prompts, by draws or by beam search."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from alpha_core.backend import Backend
from alpha_core.config import SampleConfig
from alpha_core.tensor import Tensor
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT
from alpha_train.sampling.batch import write_together
from alpha_train.sampling.beam_search import beam_search
from alpha_train.sampling.completion import Completion, Piece
from alpha_train.sampling.decoder import TOKENS_AT_ONCE, Decoder, padded_length
from alpha_train.sampling.draft import Draft
from alpha_train.sampling.next_logits import NextLogits

__all__ = ["Sampler"]


@attrs.define
class Sampler:
    """Continues prompts with a model, the samples of all prompts together in batches of as many as fit.

    Of a prompt longer than the block size, the model sees the last `block_size` tokens; when these are full, it goes on
    with the last half of them (see `alpha_train.sampling.context`). A sample ends at the end-of-text token, at a stop
    string, or after `steps` tokens. It depends on its prompt, the seed and its number among the samples of that prompt
    alone, whatever else is in the batch (but for rounding).

    Draws keep the keys and values of what was read; beam search computes each context in full at every step.
    """

    model: GPT
    backend: Backend
    parameters: Mapping[str, Tensor]
    tokenizer: Tokenizer
    _next_logits: NextLogits = attrs.field(init=False)
    _decoder: Decoder | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._next_logits = NextLogits(self.model, self.backend, self.parameters)

    def complete(self, prompts: Sequence[str], config: SampleConfig, *, alternatives: int = 0) -> list[Completion]:
        """Returns `num_samples` completions for each prompt, those of the first prompt first.

        `alternatives` is the number of likeliest tokens that are reported for each place. Raises `UsageError` for an
        empty prompt if the tokenizer has no end-of-text token.
        """
        ended = {
            piece.index: piece.completion
            for piece in self.stream(prompts, config, alternatives=alternatives)
            if piece.completion is not None
        }
        return [ended[index] for index in sorted(ended)]

    def stream(self, prompts: Sequence[str], config: SampleConfig, *, alternatives: int = 0) -> Iterator[Piece]:
        """Yields what `complete` returns in pieces, as soon as their text is certain; those of a batch alternate.

        Beam search is not certain of any text before its end.
        """
        drafts = [
            Draft.of(prompt, number, self.tokenizer, config, self.model.config.block_size)
            for prompt in prompts
            for number in range(config.num_samples)
        ]
        pieces = self._search if config.beam > 1 else self._draw
        return pieces(dict(enumerate(drafts)), config, alternatives)

    def _search(self, drafts: Mapping[int, Draft], config: SampleConfig, alternatives: int) -> Iterator[Piece]:
        for index, draft in drafts.items():
            completion = beam_search(self._next_logits, draft, config, alternatives=alternatives)
            yield Piece(index=index, text=completion.text, completion=completion)

    def _draw(self, drafts: Mapping[int, Draft], config: SampleConfig, alternatives: int) -> Iterator[Piece]:
        if not drafts:
            return
        longest = max(len(draft.context) for draft in drafts.values())
        capacity = padded_length(longest + config.steps, self.model.config.block_size)
        at_once = max(1, TOKENS_AT_ONCE // capacity)
        indices = list(drafts)
        for first in range(0, len(indices), at_once):
            batch = {index: drafts[index] for index in indices[first : first + at_once]}
            self._decoder = yield from write_together(
                batch, config, alternatives, lambda rows: self._take_decoder(rows, capacity)
            )

    def _take_decoder(self, rows: int, capacity: int) -> Decoder:
        """Returns the decoder of an earlier batch if it fits, for its programs are recorded, else a new one.

        Whoever takes it has it alone, so that several streams may be read in turn.
        """
        decoder, self._decoder = self._decoder, None
        if decoder is not None and (decoder.rows, decoder.capacity) == (rows, capacity):
            return decoder
        del decoder  # its memory goes first
        return Decoder(self.model, self.backend, self.parameters, rows=rows, capacity=capacity)
