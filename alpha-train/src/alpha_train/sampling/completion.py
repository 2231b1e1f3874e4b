"""What sampling returns."""

from typing import Literal

import attrs
import numpy as np
import numpy.typing as npt

from alpha_train.sampling.distribution import largest, log_softmax

__all__ = ["Completion", "Piece", "ScoredToken", "StopReason"]

StopReason = Literal["length", "end_of_text", "stop_string"]


@attrs.frozen(kw_only=True)
class ScoredToken:
    """A token that the model wrote, with log-probabilities in nats.

    They are the model's own: the log-softmax of its logits, before repetition penalty, temperature and limits.
    """

    id: int
    logprob: float
    alternatives: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens at this place and their log-probabilities, likeliest first; as many as were asked for."""

    @classmethod
    def of(cls, token: int, logits: npt.NDArray[np.float64], alternatives: int) -> "ScoredToken":
        """Returns the token that was chosen by these logits. logits (V,)"""
        logprobs = log_softmax(logits)
        likeliest = largest(logprobs, alternatives) if alternatives else ()
        return cls(
            id=token,
            logprob=float(logprobs[token]),
            alternatives=tuple((int(other), float(logprobs[other])) for other in likeliest),
        )


@attrs.frozen(kw_only=True)
class Completion:
    """What the model wrote after a prompt."""

    prompt: str
    number: int
    """Which sample of this prompt it is, from 0."""
    text: str
    """Without the prompt, and without the stop string and what follows it."""
    tokens: tuple[ScoredToken, ...]
    """All tokens that were written, those of a stop string too; an end-of-text token is left out."""
    stop_reason: StopReason
    stop_string: str | None = None
    """The one that ended the text."""
    beam_score: float | None = None
    """What beam search ranked it by: log-probability / length ^ `beam_length_penalty`; None for a draw."""


@attrs.frozen(kw_only=True)
class Piece:
    """Text that one of several samples was continued by; joined, they are the text of its completion."""

    index: int
    """Which sample it belongs to: all samples of the first prompt come first, then those of the second, ..."""
    text: str
    completion: Completion | None = None
    """Comes with the last piece."""
