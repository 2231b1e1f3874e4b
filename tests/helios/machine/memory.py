"""What kernels read and write: buffers behind addresses, and the memory that a workgroup shares.

Every access is checked. An access to buffers must lie within one place that somebody owns, as aligned as the
instruction says. Of shared memory each word remembers who read and wrote it last: two invocations that meet at a word,
one of them writing, must have a barrier between them, whatever the order in which they happen to run here.
"""

from bisect import bisect_right, insort
from typing import Any

import numpy as np
import numpy.typing as npt
from tests.helios.machine.values import MachineError, Scalar

__all__ = ["Buffers", "Clock", "Shared"]

FIRST_ADDRESS = 1 << 40
_GUARD = 4096
_UNIT = 256
_SPARE = 1 << 16  # bytes at the start that belong to nobody; invocations that do not take part read there

Indices = npt.NDArray[np.int64]


class Buffers:
    """All memory of a device. Places are opened and closed; what is between them belongs to nobody."""

    def __init__(self, capacity: int = 1 << 29) -> None:
        self.bytes = np.empty(capacity, np.uint8)
        self._used = _SPARE
        self._starts: list[int] = []
        self._ends: dict[int, int] = {}

    def reserve(self, nbytes: int) -> int:
        """Returns the address of memory that was never used."""
        offset = self._used
        self._used += -(-(nbytes + _GUARD) // _UNIT) * _UNIT
        if self._used > len(self.bytes):
            raise MachineError(f"{nbytes} bytes are more than the machine has left")
        return FIRST_ADDRESS + offset

    def open(self, address: int, nbytes: int) -> None:
        """Lets kernels reach a place, whose contents are undefined."""
        insort(self._starts, address)
        self._ends[address] = address + nbytes
        self.at(address, nbytes)[:] = 0xFF

    def close(self, address: int) -> None:
        """Ends that."""
        self._starts.remove(address)
        del self._ends[address]

    def at(self, address: int, nbytes: int) -> npt.NDArray[np.uint8]:
        """Returns bytes, checked by nobody."""
        return self.bytes[address - FIRST_ADDRESS :][:nbytes]

    def offsets(self, addresses: Any, nbytes: int, active: Any, alignment: int) -> Any:
        """Returns where accesses of `nbytes` bytes lie, in the spare bytes for those that are not `active`."""
        addresses = np.asarray(addresses, np.int64)
        taken = addresses if addresses.ndim == 0 or active is None else addresses[active]
        if taken.size:
            low, high = int(taken.min()), int(taken.max())
            if not self._within(low, high + nbytes):
                self._check_each(np.unique(taken), nbytes)
            if np.any(taken % alignment):
                raise MachineError(f"an access of {nbytes} bytes at {low:#x} is not aligned to {alignment}")
        if addresses.ndim and active is not None:
            addresses = np.where(active, addresses, FIRST_ADDRESS)
        return addresses - FIRST_ADDRESS

    def view(self, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Returns all bytes as numbers."""
        return self.bytes.view(dtype)

    def _within(self, start: int, end: int) -> bool:
        index = bisect_right(self._starts, start) - 1
        return index >= 0 and end <= self._ends[self._starts[index]]

    def _check_each(self, addresses: Indices, nbytes: int) -> None:
        for address in addresses.tolist():
            if not self._within(address, address + nbytes):
                raise MachineError(f"{nbytes} bytes at {address:#x} are in no buffer; {self._nearest(address)}")

    def _nearest(self, address: int) -> str:
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return "the first one begins later"
        start = self._starts[index]
        return f"the one before has {self._ends[start] - start} bytes, and this is byte {address - start}"


_OWNER, _SUBGROUP, _PASSED, _EPOCH = 0, 12, 20, 40
_OWNERS, _SUBGROUPS = (1 << _SUBGROUP) - 1, (1 << _PASSED - _SUBGROUP) - 1
_ALL = _OWNERS
"""Stands for all invocations of a subgroup, which access a matrix in a way that only the device knows."""
_ANYONE = (_SUBGROUPS << _SUBGROUP) | _OWNERS
_PASSED_BITS = ((1 << _EPOCH - _PASSED) - 1) << _PASSED


class Clock:
    """For each invocation a number made of: workgroup barriers passed, subgroup barriers passed, subgroup, itself."""

    def __init__(self, local: Indices, subgroup: Indices) -> None:
        self.now: Indices = (1 << _EPOCH) | (subgroup << _SUBGROUP) | local
        self.collective: Indices = self.now | _ALL
        """The same for what a subgroup does as a whole."""

    @classmethod
    def of_teams(cls, collective: Indices) -> "Clock":
        """Returns that of whoever does what a team does as a whole."""
        clock = cls(np.zeros(0, np.int64), np.zeros(0, np.int64))
        clock.now = clock.collective = collective
        return clock

    def pass_barrier(self, active: npt.NDArray[np.bool_], *, workgroup: bool) -> None:
        step = np.where(active, 1 << (_EPOCH if workgroup else _PASSED), 0)
        self.now = self.now + step
        self.collective = self.collective + step


class Shared:
    """A variable of each workgroup: (workgroups, scalars), and who accessed its words last."""

    def __init__(self, name: str, groups: int, scalar: Scalar, size: int) -> None:
        self.name, self.scalar, self.size = name, scalar, size
        self.data = np.full((groups, size * scalar.nbytes), 0xFF, np.uint8).view(scalar.stored)
        self.flat = self.data.reshape(-1)
        self._written = np.zeros(groups * size, np.int64)
        self._read = np.zeros(groups * size, np.int64)

    def check(self, index: Any, active: Any, what: str) -> None:
        """Raises unless scalars with these indices exist, for invocations that are active."""
        outside = (index < 0) | (index >= self.size)
        outside = outside & active if active is not None else outside
        if np.any(outside):
            worst = np.broadcast_to(index, outside.shape)[outside]
            raise MachineError(f"{what} {int(worst[0])} of {self.name}, which has {self.size} scalars")

    def note_read(self, index: Indices, clock: Indices) -> None:
        """Notes who reads which words, all of them in one instruction."""
        self._meet(self._written[index], clock, index, "reads", "wrote")
        before = self._read[index]
        self._read[index] = clock
        # Several readers of a word: what is remembered of them must conflict with whoever conflicts with one of them.
        for others in (before, clock):
            now = self._read[index]
            differs = ((others ^ now) >> _SUBGROUP) & _SUBGROUPS != 0
            another = ((others ^ now) & (_OWNERS | _PASSED_BITS) != 0) & ((others ^ now) & _PASSED_BITS == 0)
            both = (others >> _EPOCH == now >> _EPOCH) & (differs | another)
            if both.any():
                merged = np.maximum(others, now) | np.where(differs, _ANYONE, _ALL)
                np.maximum.at(self._read, index[both], merged[both])

    def note_write(self, index: Indices, clock: Indices) -> None:
        """Notes who writes which words, all of them in one instruction."""
        self._meet(self._written[index], clock, index, "writes", "wrote")
        self._meet(self._read[index], clock, index, "writes", "read")
        self._written[index] = clock
        twice = self._written[index] != clock
        if twice.any():
            raise MachineError(f"two invocations write word {int(index[twice][0]) % self.size} of {self.name} at once")

    def _meet(self, earlier: Indices, clock: Indices, index: Indices, does: str, did: str) -> None:
        """Raises if an earlier access and one now are not ordered by a barrier, or by being of the same invocation."""
        apart = earlier ^ clock
        another = ((apart & _OWNERS) != 0) | ((clock & _OWNERS) == _ALL)
        conflict = (apart >> _EPOCH == 0) & (
            (((apart >> _SUBGROUP) & _SUBGROUPS) != 0) | (((apart & _PASSED_BITS) == 0) & another)
        )
        if conflict.any():
            place = int(np.argmax(conflict))
            me, other = int(clock[place]), int(earlier[place])
            raise MachineError(
                f"invocation {_name(me)} {does} word {int(index[place]) % self.size} of {self.name}, which invocation"
                f" {_name(other)} {did}, with no barrier between"
            )


def _name(stamp: int) -> str:
    owner, subgroup = stamp & _OWNERS, stamp >> _SUBGROUP & _SUBGROUPS
    if owner != _ALL:
        return str(owner)
    return "among others" if subgroup == _SUBGROUPS else f"of subgroup {subgroup}"
