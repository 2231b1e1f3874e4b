"""Memory in slabs that are asked of the driver, and places in them, each with one owner."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from alpha_core.errors import BackendError
from alpha_helios.vulkan.suballocator import Suballocator, aligned

__all__ = ["SLAB_BYTES", "Allocation", "Memory", "Slab", "SlabSource"]

SLAB_BYTES = 64 << 20
"""What is asked of the driver at once; a larger request gets a slab of its own."""


@attrs.define(eq=False)
class Slab:
    """One buffer of the driver, and which of its places are free."""

    nbytes: int
    address: int
    """Where its first place is for kernels; a multiple of the alignment of places."""
    start: int
    """Where its first place is in `buffer`."""
    buffer: Any
    """`VkBuffer`."""
    memory: Any
    """`VkDeviceMemory`."""
    host: memoryview | None
    """Its bytes, where the processor reaches them."""
    places: Suballocator


class SlabSource(ABC):
    """Where slabs come from: one kind of memory of a device."""

    @abstractmethod
    def make(self, nbytes: int) -> Slab | None:
        """Returns a new slab, or None if the driver has no room for it."""

    @abstractmethod
    def destroy(self, slab: Slab) -> None:
        """Gives a slab back; nothing may use it any more."""

    @abstractmethod
    def available(self, reserved: int) -> int:
        """Returns the bytes that may still be asked for, when `reserved` are held."""

    @abstractmethod
    def out_of_memory(self, nbytes: int, what: str, memory: "Memory") -> BackendError:
        """Returns the error for a request that does not fit."""


@attrs.define(eq=False)
class Allocation:
    """A place in memory. Its owner frees it, or leaves that to a `with` block."""

    address: int
    """Where it is for kernels; a multiple of 256."""
    nbytes: int
    offset: int
    """Where it begins in `slab.buffer`."""
    slab: Slab
    memory: "Memory"
    freed: bool = False

    @property
    def buffer(self) -> Any:
        """The `VkBuffer` that it is in."""
        return self.slab.buffer

    @property
    def host(self) -> memoryview | None:
        """Its bytes, where the processor reaches them directly, else None."""
        view = self.slab.host
        return None if view is None else view[self.offset : self.offset + self.nbytes]

    def free(self) -> None:
        """Gives the place back. What was submitted before may still use it; what is submitted later may get it."""
        self.memory.free(self)

    def __enter__(self) -> "Allocation":
        return self

    def __exit__(self, *_: object) -> None:
        self.free()


class Memory:
    """All slabs of one kind of memory, and how much of them is in use."""

    def __init__(
        self, source: SlabSource, lock: Any, wait_idle: Callable[[], None], slab_bytes: int = SLAB_BYTES
    ) -> None:
        """`wait_idle` returns when nothing runs on the device any more."""
        self.allocated_bytes = 0
        """Bytes in use, each place rounded up to 256."""
        self.peak_bytes = 0
        """The most that was ever in use."""
        self.reserved_bytes = 0
        """Bytes of all slabs."""
        self.allocations = 0
        """How many places were ever taken."""
        self._source = source
        self._slab_bytes = slab_bytes
        self._slabs: list[Slab] = []
        self._lock = lock
        self._wait_idle = wait_idle
        self._returned: deque[Allocation] = deque()
        self._busy = False

    def allocate(self, nbytes: int, what: str = "a tensor") -> Allocation:
        """Returns a place for `nbytes`, which may be 0. Its contents are whatever was there.

        Raises `OutOfDeviceMemoryError` that says what was needed, for `what`, and what there is.
        """
        size = aligned(nbytes)
        with self._lock, self._exclusively():
            found = self._place(size) or self._place_in_new(size)
            if found is None and any(slab.places.empty for slab in self._slabs):
                self._give_up_empty()
                found = self._place_in_new(size)
            if found is None:
                raise self._source.out_of_memory(size, what, self)
            slab, offset = found
            self.allocations += 1
            self.allocated_bytes += size
            self.peak_bytes = max(self.peak_bytes, self.allocated_bytes)
            return Allocation(slab.address + offset, nbytes, slab.start + offset, slab, self)

    def free(self, allocation: Allocation) -> None:
        """Gives a place back. Raises `BackendError` if that was done before. May be called from a finalizer."""
        if allocation.freed:
            raise BackendError(f"memory at {allocation.address:#x} is freed twice")
        allocation.freed = True
        self._returned.append(allocation)
        with self._lock:
            if not self._busy:
                with self._exclusively():
                    pass

    def available_bytes(self) -> int:
        """Returns the bytes that can still be had: free in slabs, and what the driver would add."""
        free = sum(slab.places.free_bytes for slab in self._slabs)
        return free + self._source.available(self.reserved_bytes)

    def trim(self) -> int:
        """Waits for the device, gives empty slabs back to the driver, and returns their bytes."""
        with self._lock, self._exclusively():
            return self._give_up_empty()

    def close(self) -> None:
        """Gives everything back to the driver."""
        with self._lock:
            for slab in self._slabs:
                self._source.destroy(slab)
            self._slabs.clear()
            self.reserved_bytes = self.allocated_bytes = 0

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Takes in what was freed. A finalizer may free at any moment, also in the middle of what stands in here."""
        self._busy = True
        try:
            while self._returned:
                allocation = self._returned.popleft()
                if allocation.slab in self._slabs:
                    size = aligned(allocation.nbytes)
                    allocation.slab.places.give_back(allocation.offset - allocation.slab.start, size)
                    self.allocated_bytes -= size
            yield
        finally:
            self._busy = False

    def _give_up_empty(self) -> int:
        self._wait_idle()
        empty = [slab for slab in self._slabs if slab.places.empty]
        for slab in empty:
            self._source.destroy(slab)
            self._slabs.remove(slab)
            self.reserved_bytes -= slab.nbytes
        return sum(slab.nbytes for slab in empty)

    def _place(self, size: int) -> tuple[Slab, int] | None:
        for slab in self._slabs:
            if slab.places.free_bytes >= size:
                offset = slab.places.take(size)
                if offset is not None:
                    return slab, offset
        return None

    def _place_in_new(self, size: int) -> tuple[Slab, int] | None:
        """Adds a slab; near the limit, one that has just the size that is needed."""
        for nbytes in dict.fromkeys((max(size, self._slab_bytes), size)):
            if nbytes > self._source.available(self.reserved_bytes):
                continue
            slab = self._source.make(nbytes)
            if slab is not None:
                self._slabs.append(slab)
                self.reserved_bytes += slab.nbytes
                return self._place(size)
        return None
