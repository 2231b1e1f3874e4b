"""Where a barrier is needed: derived from the bytes that launches say they write, update and read."""

from collections.abc import Sequence

import attrs

__all__ = ["Hazards", "Span"]

Span = tuple[int, int]
"""Addresses of bytes: the first, and the one after the last."""


@attrs.define
class Hazards:
    """What launches since the last barrier read and wrote.

    A launch must wait for an earlier one if one of the two writes bytes that the other one touches. Bytes are compared,
    not buffers: intermediates of a program share memory, and what is freed is used again.
    """

    _written: list[Span] = attrs.field(factory=list)
    _read: list[Span] = attrs.field(factory=list)

    def meets(self, reads: Sequence[Span], writes: Sequence[Span]) -> bool:
        """Whether a launch has to wait for those since the last barrier."""
        return _overlap(writes, self._read) or _overlap(writes, self._written) or _overlap(reads, self._written)

    def add(self, reads: Sequence[Span], writes: Sequence[Span]) -> None:
        """Notes a launch; what it updates is both read and written."""
        self._read += reads
        self._written += writes

    def clear(self) -> None:
        """Forgets everything: a barrier stands here."""
        self._read.clear()
        self._written.clear()


def _overlap(some: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(
        max(start, start_other) < min(stop, stop_other) for start, stop in some for start_other, stop_other in others
    )
