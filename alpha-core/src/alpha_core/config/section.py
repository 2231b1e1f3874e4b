"""What the config classes have in common: they check themselves, and report everything that is wrong at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import attrs

from alpha_core.config.setting import settings_of, shown
from alpha_core.errors import ConfigError

__all__ = ["Constraint", "Section", "config_error", "contradictions", "describe"]


@attrs.frozen
class Constraint:
    """A rule between settings. `text` names each of `keys` in braces: `{n_embd} must be a multiple of {n_head}`."""

    keys: tuple[str, ...]
    holds: Callable[..., bool]
    text: str
    flag: str | None = None
    """The rule is for this key given as a flag alone: one that came from elsewhere may have no effect in peace."""


@attrs.frozen(kw_only=True)
class Section:
    """A config class. Making one with values that are not allowed raises `ConfigError` with every problem."""

    section: ClassVar[str]
    constraints: ClassVar[tuple[Constraint, ...]] = ()

    def __attrs_post_init__(self) -> None:
        values, problems = {}, []
        for setting in settings_of(type(self)):
            value = getattr(self, setting.key)
            reason = setting.problem(value)
            if reason is None:
                values[setting.key] = value
            else:
                problems.append(f"{describe(setting.key, value)}: {reason}")
        problems += contradictions(type(self), values)
        if problems:
            raise config_error(problems)


def contradictions(
    config: type[Section], values: Mapping[str, Any], sources: Mapping[str, str] | None = None
) -> list[str]:
    """Returns the broken rules between settings; a rule is left out when `values` lacks one of its keys."""
    sources = sources or {}
    return [
        rule.text.format_map({key: describe(key, values[key], sources.get(key)) for key in rule.keys})
        for rule in config.constraints
        if (rule.flag is None or sources.get(rule.flag, "").startswith("flag "))
        and all(key in values for key in rule.keys)
        and not rule.holds(*(values[key] for key in rule.keys))
    ]


def describe(key: str, value: Any, source: str | None = None) -> str:
    """Returns how messages name a value: `` `n_head` = `3` (flag `--n-head`) ``."""
    return f"`{key}` = {shown(value)}" + (f" ({source})" if source else "")


def config_error(problems: Sequence[str]) -> ConfigError:
    """Makes the one error that tells all `problems`."""
    if len(problems) == 1:
        return ConfigError(problems[0], problems=tuple(problems))
    lines = "".join(f"\n  - {problem}" for problem in problems)
    return ConfigError(f"the configuration has {len(problems)} problems:{lines}", problems=tuple(problems))
