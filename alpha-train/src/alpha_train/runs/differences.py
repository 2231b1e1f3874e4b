"""How configurations differ: from the defaults, and from each other."""

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from alpha_core.config import RunConfig, Setting, settings_of

__all__ = ["Difference", "changed_settings", "differing_settings"]


@attrs.frozen
class Difference:
    """A setting (or `domain`) and its value in each configuration."""

    key: str
    values: tuple[Any, ...]


def changed_settings(config: RunConfig) -> list[tuple[Setting, Any]]:
    """Returns the settings that are not at their defaults, with their values."""
    return [(setting, value) for setting, value in _values(config) if value != setting.default]


def differing_settings(configs: Sequence[RunConfig]) -> list[Difference]:
    """Returns the settings in which some configurations differ; `tag`, which is part of the run id, does not count."""
    domains = tuple(config.domain for config in configs)
    found = [Difference("domain", domains)] if len(set(domains)) > 1 else []
    for rows in zip(*map(_values, configs), strict=True):
        values = tuple(value for _, value in rows)
        if any(value != values[0] for value in values) and rows[0][0].key != "tag":
            found.append(Difference(rows[0][0].key, values))
    return found


def _values(config: RunConfig) -> Iterator[tuple[Setting, Any]]:
    for section in (config.model, config.train, config.sample):
        for setting in settings_of(type(section)):
            yield setting, getattr(section, setting.key)
