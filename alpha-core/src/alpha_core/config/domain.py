"""A domain: settings and prompts that suit one kind of text."""

from collections.abc import Mapping
from typing import Any

import attrs

from alpha_core.config.run import SECTIONS
from alpha_core.config.section import config_error
from alpha_core.config.setting import settings_of
from alpha_core.errors import ConfigError
from alpha_core.suggest import did_you_mean

__all__ = ["DomainConfig"]


@attrs.frozen(kw_only=True)
class DomainConfig:
    """Overrides of the defaults, by setting key, and prompts to sample with.

    ```python
    DomainConfig(tokenizer="char", model={"n_layer": 4}, train={"lr": 1e-3}, prompts=("The ",))
    ```

    Raises `ConfigError` for keys that are no settings, and for values that are not allowed on top of the defaults.
    """

    tokenizer: str
    model: Mapping[str, Any] = attrs.field(factory=dict)
    train: Mapping[str, Any] = attrs.field(factory=dict)
    sample: Mapping[str, Any] = attrs.field(factory=dict)
    prompts: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        problems = []
        if "tokenizer" in self.train:
            problems.append("a domain names its tokenizer beside `train`, not in it")
        for config in SECTIONS:
            overrides = self.overrides[config.section]
            known = {setting.key for setting in settings_of(config)}
            for key in overrides.keys() - known:
                hint = did_you_mean(key, known)
                problems.append(f"`{key}` is no setting of [{config.section}]" + (f"; {hint}" if hint else ""))
            try:
                config(**{key: value for key, value in overrides.items() if key in known})
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise config_error(problems)

    @property
    def overrides(self) -> Mapping[str, Mapping[str, Any]]:
        """The overrides by section, the tokenizer among them, as a config file would hold them."""
        return {"model": self.model, "train": {"tokenizer": self.tokenizer, **self.train}, "sample": self.sample}
