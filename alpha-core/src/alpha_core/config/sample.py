"""How text is sampled from a model."""

from typing import ClassVar

import attrs

from alpha_core.config.section import Section
from alpha_core.config.setting import setting

__all__ = ["SampleConfig"]


@attrs.frozen(kw_only=True)
class SampleConfig(Section):
    """Length and randomness of samples."""

    section: ClassVar[str] = "sample"

    steps: int = setting(200, "Tokens to write.", minimum=1)
    temperature: float = setting(0.8, "Divides the logits; 0 always takes the likeliest token.", minimum=0)
    top_k: int = setting(40, "Draw among this many likeliest tokens; 0 means all.", aliases=("topk",), minimum=0)
    top_p: float = setting(
        1.0,
        "Draw among the likeliest tokens that together have this probability.",
        aliases=("topp",),
        above=0,
        maximum=1,
    )
    sample_seed: int = setting(0, "Seed of the draws.", minimum=0, maximum=2**63 - 1)
    num_samples: int = setting(1, "Samples for each prompt.", minimum=1)
