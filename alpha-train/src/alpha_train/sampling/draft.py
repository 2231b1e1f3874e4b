"""A text that is being written."""

import attrs

from alpha_core.config import SampleConfig
from alpha_core.errors import UsageError
from alpha_core.tokenizer import Tokenizer
from alpha_train.sampling.completion import Completion, ScoredToken, StopReason
from alpha_train.sampling.context import extended_context, first_context
from alpha_train.sampling.stop_strings import StopStrings
from alpha_train.sampling.text_decoder import TextDecoder

__all__ = ["Draft"]


@attrs.frozen(kw_only=True)
class Draft:
    """A prompt and the tokens written after it so far. Immutable: `after` returns the next one, so that beams can fork.

    It ends at the end-of-text token, with a stop string, or after `steps` tokens.
    """

    prompt: str
    number: int
    context: tuple[int, ...]
    """What the model sees of prompt and text, at the positions 0, 1, ...; see `alpha_train.sampling.context`."""
    tokens: tuple[ScoredToken, ...] = ()
    text: str = ""
    """What is certain to be in the completion."""
    stop_reason: StopReason | None = None
    _block_size: int
    _steps: int
    _end: int | None
    _decoder: TextDecoder
    _stops: StopStrings

    @classmethod
    def of(cls, prompt: str, number: int, tokenizer: Tokenizer, config: SampleConfig, block_size: int) -> "Draft":
        """Returns the draft in which nothing is written yet; an empty prompt stands for the beginning of a document.

        Raises `UsageError` for an empty prompt if the tokenizer has no end-of-text token.
        """
        end = tokenizer.end_of_text
        tokens = tokenizer.encode(prompt) or ([end] if end is not None else [])
        if not tokens:
            raise UsageError("an empty prompt needs a tokenizer with an end-of-text token", hint="give `--prompt` text")
        return cls(
            prompt=prompt,
            number=number,
            context=first_context(tokens, block_size),
            block_size=block_size,
            steps=config.steps,
            end=end,
            decoder=TextDecoder(tokenizer),
            stops=StopStrings(config.stop),
        )

    def after(self, token: ScoredToken) -> "Draft":
        """Returns the draft with one more token."""
        if token.id == self._end:
            return self._finished("end_of_text")
        decoder, piece = self._decoder.push(token.id)
        context = extended_context(self.context, token.id, self._block_size)
        draft = attrs.evolve(self, context=context, tokens=(*self.tokens, token), decoder=decoder)._with_text(piece)
        if draft.stop_reason is None and len(draft.tokens) == self._steps:
            return draft._finished("length")
        return draft

    def completion(self, *, beam_score: float | None = None) -> Completion | None:
        """Returns what was written, or None if the text has not ended."""
        if self.stop_reason is None:
            return None
        return Completion(
            prompt=self.prompt,
            number=self.number,
            text=self.text,
            tokens=self.tokens,
            stop_reason=self.stop_reason,
            stop_string=self._stops.found,
            beam_score=beam_score,
        )

    def _with_text(self, piece: str) -> "Draft":
        stops, certain = self._stops.push(piece)
        return attrs.evolve(
            self,
            text=self.text + certain,
            stops=stops,
            stop_reason="stop_string" if stops.found is not None else None,
        )

    def _finished(self, reason: StopReason) -> "Draft":
        """No token follows: half a character and half a stop string are text now."""
        draft = self._with_text(self._decoder.pending_text())
        if draft.stop_reason is not None:
            return draft
        return attrs.evolve(draft, text=draft.text + draft._stops.held, stop_reason=reason)
