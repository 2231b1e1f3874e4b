"""Samples that repeat themselves."""

import re
from collections.abc import Sequence

from alpha_core.observer import Event, Sample

__all__ = ["DEGENERATE", "degeneracy_warning", "repeated_share"]

DEGENERATE = 0.20
"""From this share of repeated 4-grams on, a sample counts as degenerate."""

_N = 4
_FEWEST_WORDS = 8
_WORD = re.compile(r"\S{1,8}")  # long ones are cut, so that a text without spaces can repeat itself too


def repeated_share(text: str) -> float:
    """Returns the share of the 4-grams of words that stood in the text before: 1 - distinct / all.

    Words rather than tokens, because characters repeat in good text too. 0 for a text of fewer than 8 words, which is
    too short to tell. Source: seq-rep-4 of Welleck et al. 2020, "Neural text generation with unlikelihood training".
    """
    words = _WORD.findall(text)
    if len(words) < _FEWEST_WORDS:
        return 0.0
    grams = list(zip(*(words[i:] for i in range(_N)), strict=False))
    return 1.0 - len(set(grams)) / len(grams)


def degeneracy_warning(step: int, samples: Sequence[Sample]) -> Event | None:
    """Returns a `sample_degeneracy_warning` that names how many samples are degenerate, or None if none is."""
    shares = [repeated_share(sample.output) for sample in samples]
    degenerate = [index for index, share in enumerate(shares) if share >= DEGENERATE]
    if not degenerate:
        return None
    worst = max(shares)
    return Event(
        kind="sample_degeneracy_warning",
        message=f"{len(degenerate)} of {len(samples)} samples repeat themselves: up to {worst:.0%} of the 4-grams",
        step=step,
        level="warning",
        payload={"samples": degenerate, "repeated_share": worst, "threshold": DEGENERATE},
    )
