"""Beam search: the likeliest text that a narrow search finds, without draws."""

import math
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.config import SampleConfig
from alpha_train.sampling.completion import Completion, ScoredToken
from alpha_train.sampling.distribution import largest, log_softmax, penalized
from alpha_train.sampling.draft import Draft

__all__ = ["beam_search"]


@attrs.frozen
class _Beam:
    draft: Draft
    logprob: float
    """Of all its tokens together, an end-of-text token included."""


def beam_search(
    next_logits: Callable[[Sequence[Sequence[int]]], npt.NDArray[np.float64]],
    start: Draft,
    config: SampleConfig,
    *,
    alternatives: int = 0,
) -> Completion:
    """Returns the ended text with the highest score of those that the search meets.

    score = log P(tokens | prompt) / length ^ `beam_length_penalty`

    This is the length normalization of Wu et al. 2016 (section 7) with the length itself in place of (5 + length) / 6;
    length counts the tokens written, an end-of-text token included. P is the model's, after the repetition penalty.

    Each step continues every beam by every token and keeps the likeliest continuations: `beam` of them, less the beams
    whose text has ended, for these leave the search and narrow it (Sutskever et al. 2014). Of equal ones, that of the
    likelier beam is kept, then that of the lower token. `next_logits` computes all beams in one batch.
    """
    beams, ended = [_Beam(start, 0.0)], list[Completion]()
    for length in range(1, config.steps + 1):
        continuations = _likeliest(next_logits, beams, config, config.beam - len(ended), alternatives)
        beams = []
        for beam in continuations:
            completion = beam.draft.completion(beam_score=_score(beam.logprob, length, config))
            if completion is None:
                beams.append(beam)
            else:
                ended.append(completion)
        if not _can_improve(beams, ended, config):
            break
    return max(ended, key=_beam_score)  # the first one of the best


def _likeliest(
    next_logits: Callable[[Sequence[Sequence[int]]], npt.NDArray[np.float64]],
    beams: Sequence[_Beam],
    config: SampleConfig,
    count: int,
    alternatives: int,
) -> list[_Beam]:
    """Returns the `count` likeliest of all continuations by one token, likeliest first."""
    logits = next_logits([beam.draft.context for beam in beams])  # (N, V)
    scores = [penalized(row, config, beam.draft.context) for row, beam in zip(logits, beams, strict=True)]
    logprobs = np.array([[beam.logprob] for beam in beams]) + log_softmax(np.stack(scores))  # (N, V)
    result = []
    for index in largest(logprobs.ravel(), count):
        row, token = divmod(int(index), logits.shape[1])
        draft = beams[row].draft.after(ScoredToken.of(token, logits[row], alternatives))
        result.append(_Beam(draft, float(logprobs[row, token])))
    return result


def _can_improve(beams: Sequence[_Beam], ended: Sequence[Completion], config: SampleConfig) -> bool:
    """Whether a beam can still beat the best: at most it stays as likely as it is, up to the greatest length."""
    best = max(map(_beam_score, ended), default=float("-inf"))
    return any(_score(beam.logprob, config.steps, config) > best for beam in beams)


def _score(logprob: float, length: int, config: SampleConfig) -> float:
    return logprob / math.pow(length, config.beam_length_penalty)


def _beam_score(completion: Completion) -> float:
    assert completion.beam_score is not None
    return completion.beam_score
