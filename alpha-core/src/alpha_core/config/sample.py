"""How text is sampled from a model."""

from typing import ClassVar

import attrs

from alpha_core.config.section import Constraint, Section
from alpha_core.config.setting import setting

__all__ = ["SampleConfig"]


@attrs.frozen(kw_only=True)
class SampleConfig(Section):
    """Length and randomness of samples, or beam search instead of draws."""

    section: ClassVar[str] = "sample"
    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            ("beam", "num_samples"),
            lambda beam, num_samples: beam == 1 or num_samples == 1,
            "{beam} and {num_samples} do not go together: beam search finds one text",
        ),
        *(
            Constraint(
                (key, "beam"),
                lambda _, beam: beam == 1,
                "{" + key + "} has no effect with {beam}: beam search draws nothing",
                flag=key,
            )
            for key in ("temperature", "top_k", "top_p", "min_p", "sample_seed")
        ),
    )

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
    min_p: float = setting(
        0.0, "Draw among tokens that have at least this share of the highest probability.", minimum=0, maximum=1
    )
    repetition_penalty: float = setting(
        1.0, "Makes tokens less likely that occurred before (CTRL's penalty); 1 is off.", minimum=1, maximum=100
    )
    repetition_window: int = setting(
        0, "How many of the last tokens the penalty is for; 0 means all that the model sees.", minimum=0
    )
    beam: int = setting(1, "Width of a beam search, which replaces the draws; 1 draws.", minimum=1)
    beam_length_penalty: float = setting(
        1.0, "Beams are ranked by log-probability / length ^ this; more favours longer texts.", minimum=0, maximum=10
    )
    stop: tuple[str, ...] = setting(
        (),
        "Text that ends a sample and is no part of it; give the flag again, or a JSON list, for several.",
        texts=True,
    )
    sample_seed: int = setting(0, "Seed of the draws.", minimum=0, maximum=2**63 - 1)
    num_samples: int = setting(1, "Samples for each prompt.", minimum=1)
