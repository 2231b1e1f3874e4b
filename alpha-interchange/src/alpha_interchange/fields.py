"""The `config.json` of another toolkit, each value checked before it is used."""

import math
from collections.abc import Mapping
from typing import Any

import attrs

from alpha_core.errors import CheckpointError

__all__ = ["Fields"]


@attrs.frozen
class Fields:
    """An object of settings. Its methods raise `CheckpointError` for a value of another type than they are asked for.

    A setting that is absent or null has the default; without one it must be there.
    """

    source: str
    content: Mapping[str, Any]

    def integer(self, key: str, default: int | None = None) -> int:
        value = self._value(key, default)
        if type(value) is not int or value < 1:
            raise self._wrong(key, value, "a positive integer")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self._value(key, default)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self._wrong(key, value, "a number")
        return float(value)

    def boolean(self, key: str, default: bool) -> bool:
        value = self._value(key, default)
        if type(value) is not bool:
            raise self._wrong(key, value, "`true` or `false`")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a text")
        return value

    def section(self, key: str) -> "Fields":
        value = self._value(key, {})
        if not isinstance(value, Mapping):
            raise self._wrong(key, value, "an object")
        return Fields(f"{self.source}, `{key}`", value)

    def require(self, key: str, value: Any, default: Any) -> None:
        """Raises `CheckpointError` unless a setting is `value`: anything else computes what Alpha's models do not."""
        found = self._value(key, default)
        if found != value or type(found) is not type(value):
            raise self.unsupported(key, found)

    def unsupported(self, key: str, value: Any, hint: str | None = None) -> CheckpointError:
        """Makes the error that a setting has no counterpart in Alpha."""
        return CheckpointError(f"{self.source}: `{key}` = `{value!s:.80}` has no counterpart in Alpha", hint=hint)

    def _value(self, key: str, default: Any) -> Any:
        value = self.content.get(key)
        if value is None:
            value = default
        if value is None:
            raise CheckpointError(f"{self.source} lacks `{key}`")
        return value

    def _wrong(self, key: str, value: Any, expected: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: `{key}` = `{value!s:.80}`: expected {expected}")
