"""What became of the parameters of a parent in its child."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

__all__ = ["RestoreReport"]

_MOST_NAMED = 6


@attrs.frozen(kw_only=True)
class RestoreReport:
    """Which of the child's parameters come from its parent; each is in one of the first three."""

    restore: str
    """How: one of `RESTORE_MODES`."""
    copied: tuple[str, ...]
    """The parent's, as they are."""
    projected: Mapping[str, float]
    """Made of the parent's and of new values: which share of the elements is the parent's."""
    initialized: tuple[str, ...]
    """New."""
    left_out: tuple[str, ...] = ()
    """The parent's for which the child has no place."""
    settings: Mapping[str, float] = attrs.field(factory=dict)
    """Settings of the child's model that had to follow from its parent's."""

    def to_json(self) -> dict[str, Any]:
        """Returns itself as JSON values."""
        return {
            "restore": self.restore,
            "copied": list(self.copied),
            "projected": dict(self.projected),
            "initialized": list(self.initialized),
            "left_out": list(self.left_out),
            "settings": dict(self.settings),
        }

    def lines(self) -> Iterator[str]:
        """Yields sentences for a person."""
        counts = f"{len(self.copied)} copied, {len(self.projected)} projected, {len(self.initialized)} initialized"
        yield f"parameters: {counts}" + (f", {len(self.left_out)} of the parent left out" if self.left_out else "")
        if self.projected:
            shares = [f"`{name}` ({100 * share:.0f}% the parent's)" for name, share in self.projected.items()]
            yield f"projected: {_some(shares)}"
        if self.initialized:
            yield f"initialized: {_some([f'`{name}`' for name in self.initialized])}"
        if self.left_out:
            yield f"left out: {_some([f'`{name}`' for name in self.left_out])}"
        for key, value in self.settings.items():
            yield f"`{key}` is {value:.9g}, so that the child computes what its parent does"


def _some(items: list[str]) -> str:
    rest = len(items) - _MOST_NAMED
    return ", ".join(items[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
