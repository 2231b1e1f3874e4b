"""Places in a range of bytes: the best fitting free one is taken, and neighbours that are free become one."""

from bisect import bisect_left, insort

__all__ = ["ALIGNMENT", "Suballocator", "aligned"]

ALIGNMENT = 256
"""Every place begins at, and takes, a multiple of this many bytes."""


def aligned(nbytes: int) -> int:
    """Returns the bytes that a place for `nbytes` takes.

    >>> aligned(0), aligned(256), aligned(257)
    (256, 256, 512)
    """
    return max(ALIGNMENT, -(-nbytes // ALIGNMENT) * ALIGNMENT)


class Suballocator:
    """The free places of a range. All sizes and offsets are multiples of `ALIGNMENT`."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.free_bytes = nbytes
        self._by_size = [(nbytes, 0)]
        self._size_at = {0: nbytes}
        self._start_before = {nbytes: 0}

    @property
    def empty(self) -> bool:
        """Whether all of it is free."""
        return self.free_bytes == self.nbytes

    def take(self, nbytes: int) -> int | None:
        """Returns the offset of a place, or None if no free one is large enough."""
        index = bisect_left(self._by_size, (nbytes, 0))
        if index == len(self._by_size):
            return None
        size, offset = self._by_size[index]
        self._remove(offset, size)
        if size > nbytes:
            self._add(offset + nbytes, size - nbytes)
        self.free_bytes -= nbytes
        return offset

    def give_back(self, offset: int, nbytes: int) -> None:
        """Frees a place that `take` returned."""
        self.free_bytes += nbytes
        before = self._start_before.get(offset)
        if before is not None:
            size = self._size_at[before]
            self._remove(before, size)
            offset, nbytes = before, nbytes + size
        after = self._size_at.get(offset + nbytes)
        if after is not None:
            self._remove(offset + nbytes, after)
            nbytes += after
        self._add(offset, nbytes)

    def _add(self, offset: int, size: int) -> None:
        insort(self._by_size, (size, offset))
        self._size_at[offset] = size
        self._start_before[offset + size] = offset

    def _remove(self, offset: int, size: int) -> None:
        del self._by_size[bisect_left(self._by_size, (size, offset))]
        del self._size_at[offset]
        del self._start_before[offset + size]
