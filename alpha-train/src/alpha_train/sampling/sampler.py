"""Continues prompts, by draws or by beam search."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from alpha_core.backend import Backend
from alpha_core.config import SampleConfig
from alpha_core.tensor import Tensor
from alpha_core.tokenizer import Tokenizer
from alpha_model import GPT
from alpha_train.sampling.beam_search import beam_search
from alpha_train.sampling.completion import Completion, Piece, ScoredToken
from alpha_train.sampling.distribution import draw, probabilities
from alpha_train.sampling.draft import Draft
from alpha_train.sampling.next_logits import NextLogits

__all__ = ["Sampler"]


@attrs.define
class Sampler:
    """Continues prompts with a model, all samples of all prompts together in one batch.

    Once prompt and text are longer than the block size, the model sees the last `block_size` tokens. A sample ends at
    the end-of-text token, at a stop string, or after `steps` tokens. It depends on its prompt, the seed and its number
    among the samples of that prompt alone, whatever else is in the batch (but for rounding).
    """

    model: GPT
    backend: Backend
    parameters: Mapping[str, Tensor]
    tokenizer: Tokenizer
    _next_logits: NextLogits = attrs.field(init=False)

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
        """Yields what `complete` returns in pieces, as soon as their text is certain; those of all samples alternate.

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
        while drafts:
            continued: dict[int, Draft] = {}
            all_logits = self._next_logits([draft.context for draft in drafts.values()])
            for (index, draft), logits in zip(drafts.items(), all_logits, strict=True):
                distribution = probabilities(logits, config, draft.context)
                token = draw(distribution, config.sample_seed, len(draft.tokens), draft.number)
                after = draft.after(ScoredToken.of(token, logits, alternatives))
                completion = after.completion()
                if completion is None:
                    continued[index] = after
                if completion is not None or after.text != draft.text:
                    yield Piece(index=index, text=after.text[len(draft.text) :], completion=completion)
            drafts = continued
