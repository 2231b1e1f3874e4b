"""How a person names a run: its id, the beginning of its id, or `last`."""

from collections.abc import Mapping
from typing import TypeVar

from alpha_core.errors import UnknownNameError, UsageError
from alpha_core.suggest import did_you_mean

__all__ = ["LAST", "no_run", "run_named"]

LAST = "last"
"""What a person calls the run that was started last."""

T = TypeVar("T")


def run_named(name: str, known: Mapping[str, T], places: str) -> T | None:
    """Returns the run of that name among those known by id, in the order in which they were started; None for none.

    Raises `UsageError` if several ids begin like that.
    """
    if name in known:
        return known[name]
    if name == LAST and known:
        return list(known.values())[-1]
    matches = [run_id for run_id in known if name and run_id.startswith(name)]
    if len(matches) > 1:
        listed = ", ".join(f"`{run_id}`" for run_id in matches)
        raise UsageError(f"several runs in {places} begin with `{name}`: {listed}")
    return known[matches[0]] if matches else None


def no_run(name: str, known: Mapping[str, object], places: str) -> UnknownNameError:
    """Returns the error for a name that no run has."""
    if not known:
        return UnknownNameError(
            f"there is no run `{name}`: {places} holds no runs", hint="start one with `alpha train`"
        )
    return UnknownNameError(
        f"there is no run `{name}` in {places}",
        hint=did_you_mean(name, [*known, LAST]) or f"the latest is `{list(known)[-1]}`",
    )
