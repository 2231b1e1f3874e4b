"""What a token is drawn from: functions from logits to probabilities, each as its definition.

V is the number of tokens in the vocabulary.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alpha_core.config import SampleConfig
from alpha_core.random import philox4x32, stream_id

__all__ = [
    "draw",
    "keep_min_p",
    "keep_top_p",
    "largest",
    "log_softmax",
    "penalize_repetition",
    "penalized",
    "probabilities",
    "uniforms",
]

Floats = npt.NDArray[np.float64]


def log_softmax(logits: Floats) -> Floats:
    """Returns log-probabilities, in nats, along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def penalize_repetition(logits: Floats, tokens: Sequence[int], penalty: float) -> Floats:
    """Returns logits in which `tokens` are less likely: divided by `penalty`, negative ones multiplied. (V,) to (V,)

    The penalty of CTRL (Keskar et al. 2019, section 4.1), which divides the scores of tokens that occurred before,
    however often. It was meant for scores above 0; where they are below, dividing would reward, hence the product.
    """
    seen = np.unique(np.asarray(tokens, np.int64))
    result = logits.copy()
    result[seen] = np.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
    return result


def keep_top_p(descending: Floats, mass: float) -> Floats:
    """Returns the fewest of the highest probabilities that reach `mass`, at least one, to sum 1. (K,) to (<= K,)

    Nucleus sampling (Holtzman et al. 2019).
    """
    count = int(np.searchsorted(np.cumsum(descending), mass)) + 1
    kept: Floats = descending[:count] / descending[:count].sum()
    return kept


def keep_min_p(descending: Floats, ratio: float) -> Floats:
    """Returns the probabilities that are at least `ratio` times the highest, to sum 1. (K,) to (<= K,)

    Min-p sampling (Nguyen et al. 2024): few candidates where the model is sure, many where it is not.
    """
    likely = descending[descending >= ratio * descending[0]]
    kept: Floats = likely / likely.sum()
    return kept


def penalized(logits: Floats, config: SampleConfig, context: Sequence[int]) -> Floats:
    """Returns logits after the repetition penalty of `config`, for what follows `context`. (V,) to (V,)"""
    if config.repetition_penalty == 1:
        return logits
    return penalize_repetition(logits, context[-config.repetition_window :], config.repetition_penalty)


def probabilities(logits: Floats, config: SampleConfig, context: Sequence[int] = ()) -> Floats:
    """Returns the distribution that the token after `context` is drawn from. (V,) to (V,)

    Order: repetition penalty, temperature, `top_k`, `top_p`, `min_p`. Temperature 0 puts everything on the likeliest
    token (the lowest id among equals).
    """
    logits = penalized(logits, config, context)
    distribution = np.zeros(logits.size)
    if config.temperature == 0:
        distribution[np.argmax(logits)] = 1.0
        return distribution
    order = largest(logits, config.top_k or logits.size)
    with np.errstate(over="ignore"):  # next to temperature 0 a difference becomes -inf, and a probability 0
        kept = np.exp((logits[order] - logits[order[0]]) / config.temperature)
    kept /= kept.sum()
    if config.top_p < 1:
        kept = keep_top_p(kept, config.top_p)
    if config.min_p > 0:
        kept = keep_min_p(kept, config.min_p)
    distribution[order[: kept.size]] = kept
    return distribution


def draw(distribution: Floats, seed: int, position: int, number: int) -> int:
    """Returns a token; a pure function of the distribution, the seed, the place in the text and the sample's number."""
    cumulative = np.cumsum(distribution)
    uniform = uniforms(seed, np.array([position]), np.array([number]))[0, 0]
    return int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))


def uniforms(seed: int, positions: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer]) -> Floats:
    """Returns the random numbers of draws, in (0, 1), for each place in a text and each sample. (N,), (B,) to (N, B)

    They are the first words of `alpha_core.random.random_bits` with places as steps and samples as rows.
    """
    steps, rows = positions.astype(np.uint32)[:, None], numbers.astype(np.uint32)[None, :]
    block, stream = np.zeros((1, 1), np.uint32), np.full((1, 1), stream_id("sample"), np.uint32)
    words = philox4x32((block, rows, steps, stream), (seed & 0xFFFFFFFF, seed >> 32))[0]
    return (words.astype(np.float64) + 0.5) / 2.0**32


def largest(values: Floats, count: int) -> npt.NDArray[np.int64]:
    """Returns the indices of the `count` largest values, largest first, equal ones by index. (N,) to (<= count,)"""
    if count < values.size:
        bound = np.partition(values, -count)[-count]
        candidates = np.flatnonzero(values >= bound)
    else:
        candidates = np.arange(values.size)
    order: npt.NDArray[np.int64] = candidates[np.argsort(-values[candidates], kind="stable")[:count]]
    return order
