"""A case: one row of a suite's table, and what it does once it is prepared."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from alpha_core.errors import AlphaError

if TYPE_CHECKING:
    from alpha_bench.measure import Run
    from alpha_bench.result import Result
    from alpha_bench.session import Session

__all__ = ["Case", "CaseSkippedError", "Suite", "Work"]


class CaseSkippedError(AlphaError):
    """A case cannot be measured here, for a reason that is no fault: another package or other hardware is needed."""


@attrs.frozen(kw_only=True)
class Work:
    """A case that is ready to be measured."""

    run: "Run"
    inner: int = 1
    """How often one call of `run(1)` does what the case is about."""
    work: Mapping[str, float] = attrs.field(factory=dict)
    flops: float | None = None
    bytes: float | None = None
    extra: Callable[[], Mapping[str, Any]] = dict
    """Asked after the measurement for further figures. Raises `AlphaError` if what was computed is wrong."""


@attrs.frozen(kw_only=True)
class Case:
    """What is measured, under a name."""

    suite: str
    id: str
    parameters: Mapping[str, Any]
    prepare: "Callable[[Session], Work]"
    """Makes all that the case needs. Raises `CaseSkippedError` if it cannot run here."""
    alone: bool = False
    """Whether it runs in a process of its own, whose peak memory is reported."""
    heavy: bool = False
    """Whether a call takes seconds and is the same from the first one on."""


def _as_they_are(results: "list[Result]") -> "list[Result]":
    return results


@attrs.frozen(kw_only=True)
class Suite:
    """A table of cases."""

    name: str
    summary: str
    cases: "Callable[[Session], list[Case]]"
    finish: "Callable[[list[Result]], list[Result]]" = _as_they_are
    """Adds figures that need several results."""
    needs_backend: bool = True
    needs_ceilings: bool = True
