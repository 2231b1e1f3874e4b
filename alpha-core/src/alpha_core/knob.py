"""Knobs: numbers by which a backend can be tuned for a machine and a model, such as its threads."""

from collections.abc import Iterable, Sequence

import attrs

from alpha_core.errors import UsageError
from alpha_core.suggest import did_you_mean

__all__ = ["Knob", "check_knob", "knob_texts", "parse_knobs"]


@attrs.frozen
class Knob:
    """One number that a backend can be tuned by, and its value now."""

    name: str
    summary: str
    value: int
    choices: tuple[int, ...]
    """Values that are worth trying, ascending. Any whole number from the first to the last is allowed."""
    changes_results: bool
    """Whether results depend on it (by rounding), so that a run has to keep it."""

    def problem(self, value: int) -> str | None:
        """Returns what is expected instead of `value`, or None if it is allowed."""
        lowest, highest = self.choices[0], self.choices[-1]
        if lowest <= value <= highest:
            return None
        return f"{lowest} is the only value" if lowest == highest else f"a number from {lowest} to {highest} is needed"


def check_knob(knobs: Sequence[Knob], name: str, value: int, backend: str) -> Knob:
    """Returns the knob with a name. Raises `UsageError` if there is none, or `value` is none that it takes.

    `backend` is the name that messages use.
    """
    for knob in knobs:
        if knob.name == name:
            problem = knob.problem(value)
            if problem is not None:
                raise UsageError(f"knob `{name}` of backend `{backend}` is set to `{value}`; {problem}")
            return knob
    there = ", ".join(f"`{knob.name}`" for knob in knobs)
    raise UsageError(
        f"backend `{backend}` has no knob `{name}`; " + (f"it has {there}" if knobs else "it has none"),
        hint=did_you_mean(name, [knob.name for knob in knobs]),
    )


def parse_knobs(texts: Iterable[str]) -> dict[str, int]:
    """Returns the values of texts such as `lanes=2`, by name. Raises `UsageError` for one that is malformed.

    >>> parse_knobs(["lanes=2", "chunk=256"])
    {'lanes': 2, 'chunk': 256}
    """
    values: dict[str, int] = {}
    for text in texts:
        name, equals, number = (part.strip() for part in text.partition("="))
        if not name.isidentifier() or not equals or not (number.isascii() and number.isdecimal()):
            raise UsageError(f"`{text}` sets no knob", hint="write its name and a whole number: `lanes=2`")
        if name in values:
            raise UsageError(f"knob `{name}` is set twice")
        values[name] = int(number)
    return values


def knob_texts(values: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Returns pairs of name and value as `parse_knobs` takes them.

    >>> knob_texts({"lanes": 2}.items())
    ('lanes=2',)
    """
    return tuple(f"{name}={value}" for name, value in values)
