"""The complete configuration of a run."""

import attrs

from alpha_core.config.model import ModelConfig
from alpha_core.config.sample import SampleConfig
from alpha_core.config.section import Section
from alpha_core.config.train import TrainConfig

__all__ = ["SECTIONS", "RunConfig"]

SECTIONS: tuple[type[Section], ...] = (ModelConfig, TrainConfig, SampleConfig)
"""Every config class, in the order in which a config file shows them."""


@attrs.frozen(kw_only=True)
class RunConfig:
    """What `config.json` of a run folder holds. `domain` names the preset that it was made from, if any."""

    domain: str | None = None
    model: ModelConfig = attrs.field(factory=ModelConfig)
    train: TrainConfig = attrs.field(factory=TrainConfig)
    sample: SampleConfig = attrs.field(factory=SampleConfig)
