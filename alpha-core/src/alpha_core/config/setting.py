"""One setting: its key, type, default, meaning, limits and every name it goes by. Declared once, in a config class."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import attrs

from alpha_core.suggest import did_you_mean

__all__ = ["Setting", "setting", "settings_of", "shown", "text_of", "texts_of"]

T = TypeVar("T")
_METADATA = "alpha"
_LONGEST_SHOWN = 80


@attrs.frozen(kw_only=True)
class Setting:
    """Describes one field of a config class; the command line, the loader and the documentation read nothing else."""

    key: str
    """snake_case, unique over all config classes: `n_layer`."""
    section: str
    """`model`, `train` or `sample`: the table of a config file that holds it."""
    type: Any
    """`int`, `float`, `bool`, `str` or `tuple[str, ...]`."""
    default: Any
    help: str
    aliases: tuple[str, ...] = ()
    """Other keys it answers to, snake_case: `layers`."""
    choices: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    empty: bool = False
    """Whether a text may be empty."""
    texts: bool = False
    """Whether a tuple holds texts of any kind; else it holds names."""
    check: Callable[[Any], str | None] | None = None
    """A further rule: returns what is expected instead when a value breaks it."""

    @property
    def env(self) -> str:
        """The environment variable: `ALPHA_N_LAYER`."""
        return f"ALPHA_{self.key.upper()}"

    @property
    def flag(self) -> str:
        """The command-line flag: `--n-layer`."""
        return _flag(self.key)

    @property
    def alias_flags(self) -> tuple[str, ...]:
        """Further flags that mean the same: `--layers`."""
        return tuple(map(_flag, self.aliases))

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name that a config file may use: key and aliases in snake_case, kebab-case and camelCase."""
        names = (self.key, *self.aliases)
        return tuple(dict.fromkeys(s for name in names for s in (name, name.replace("_", "-"), _camel_case(name))))

    @property
    def allowed(self) -> str:
        """What a value may be, in words that complete `expected ...`."""
        if self.choices is not None:
            return "one of " + ", ".join(f"`{choice}`" for choice in self.choices)
        if self.type is bool:
            return "`true` or `false`"
        if self.type is str:
            return "text" if self.empty else "text that is not empty"
        if self.texts:
            return "a text, or a JSON list of texts that are not empty"
        if self.type not in (int, float):
            return "different names, separated by commas"
        limits = [
            *([f"{text_of(self.minimum)} or more"] if self.minimum is not None else []),
            *([f"{text_of(self.maximum)} or less"] if self.maximum is not None else []),
            *([f"above {text_of(self.above)}"] if self.above is not None else []),
            *([f"below {text_of(self.below)}"] if self.below is not None else []),
        ]
        noun = "an integer" if self.type is int else "a number"
        return f"{noun}, {' and '.join(limits)}" if limits else noun

    def problem(self, value: Any) -> str | None:
        """Returns what is expected instead of `value`, or None if it is allowed."""
        if not self._is_of_type(value):
            return f"expected {self.allowed}"
        if self.choices is not None and value not in self.choices:
            return "; ".join(filter(None, [f"expected {self.allowed}", did_you_mean(value, self.choices)]))
        if self.type in (int, float) and not self._is_in_range(value):
            return f"expected {self.allowed}"
        reason = self.check(value) if self.check is not None else None
        return f"expected {reason}" if reason is not None else None

    def text(self, value: Any) -> str:
        """Returns the text that a flag or an environment variable needs for `value`."""
        if self.texts and value:
            import json

            return json.dumps(value)
        return text_of(value)

    def joined(self, earlier: str, later: str) -> str:
        """Returns what two flags on one line mean together: all their texts for `texts`, otherwise the later one."""
        return self.text((*texts_of(earlier), *texts_of(later))) if self.texts else later

    def _is_of_type(self, value: Any) -> bool:
        if self.type is str:
            return type(value) is str and (bool(value) or self.empty) and _is_storable(value)
        if self.type in (int, float, bool):
            return type(value) is self.type
        if self.texts:
            return type(value) is tuple and all(
                type(item) is str and item != "" and _is_storable(item) for item in value
            )
        return type(value) is tuple and all(map(_is_name, value)) and len(set(value)) == len(value)

    def _is_in_range(self, value: float) -> bool:
        return (
            (type(value) is int or math.isfinite(value))  # an integer may be too large for a float
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


def setting(
    default: T,
    help: str,
    *,
    aliases: tuple[str, ...] = (),
    choices: tuple[str, ...] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    empty: bool = False,
    texts: bool = False,
    check: Callable[[Any], str | None] | None = None,
) -> T:
    """Makes a field of a config class; its type is the type of `default`.

    ```python
    n_layer: int = setting(6, "Number of transformer blocks.", aliases=("layers",), minimum=1)
    ```

    An integer given for a float, or a list for a tuple, is converted; nothing else is.
    """
    metadata = {
        "help": help,
        "aliases": aliases,
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "below": below,
        "empty": empty,
        "texts": texts,
        "check": check,
    }
    converter = {float: _float_of_integer, tuple: _tuple_of_list}.get(type(default))
    return attrs.field(default=default, converter=converter, metadata={_METADATA: metadata})


def settings_of(config: type) -> tuple[Setting, ...]:
    """Returns the settings of a config class, in the order of declaration."""
    return _settings_of(config)


@cache
def _settings_of(config: Any) -> tuple[Setting, ...]:
    return tuple(
        Setting(
            key=field.name,
            section=config.section,
            type=tuple[str, ...] if isinstance(field.default, tuple) else type(field.default),
            default=field.default,
            **field.metadata[_METADATA],
        )
        for field in attrs.fields(config)
    )


def text_of(value: Any) -> str:
    """Returns the text that a flag or an environment variable needs for `value`: `true`, `0.001`, `console,jsonl`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def texts_of(text: str) -> tuple[str, ...]:
    """Returns the texts that a flag of a `texts` setting means: those of a JSON list, none if empty, else `text`."""
    if text.startswith("["):
        import json

        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            return (text,)
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return tuple(items)
    return (text,) if text else ()


def shown(value: Any) -> str:
    """Returns `value` as messages quote it: on one line, in backticks, not too long."""
    text = text_of(value)
    if not text.isprintable():
        text = repr(text)
    return f"`{text}`" if len(text) <= _LONGEST_SHOWN else f"`{text[:_LONGEST_SHOWN]}...`"


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _camel_case(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _is_storable(text: str) -> bool:
    """Whether files can hold the text: no NUL, and no lone surrogates (from names that are not UTF-8)."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _is_name(item: Any) -> bool:
    return type(item) is str and item != "" and item.isprintable() and "," not in item and item == item.strip()


def _float_of_integer(value: Any) -> Any:
    if type(value) is not int:
        return value
    try:
        return float(value)
    except OverflowError:
        return value


def _tuple_of_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
