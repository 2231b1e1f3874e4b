"""Invocations of a workgroup that work together, on a row each: loops over the row, and what is combined at the end.

The order in which numbers are combined depends on the sizes and the device alone, so results repeat bit for bit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Indexed
from alpha_helios.spirv.types import Type
from alpha_helios.spirv.value import Number, Value

__all__ = ["Team"]

Operation = Literal["add", "max", "min"]


class Team:
    """`size` neighbouring invocations of a workgroup, a power of 2; a workgroup has `count` such teams.

    All invocations of a workgroup must call the methods that combine together, also those of a team without a row.
    """

    def __init__(self, k: Kernel, size: int | None = None) -> None:
        """Divides the workgroup into teams of `size`, or makes all of it one."""
        self.k = k
        self.size = size or k.invocations
        if self.size & self.size - 1 or k.invocations % self.size:
            raise ValueError(f"teams of {self.size} in a workgroup of {k.invocations}; a power of 2 that divides it")
        self.count = k.invocations // self.size
        self.lane = k.local_index if self.count == 1 else k.local_index & self.size - 1
        """Which invocation of its team this is."""
        self.index: Number = 0 if self.count == 1 else k.local_index >> self.size.bit_length() - 1
        """Which team of the workgroup this is."""
        self._scratch: dict[Type, Indexed] = {}

    @contextmanager
    def along(self, width: Number, lanes: int = 1) -> Iterator[Value]:
        """Runs the body for the indices of this invocation's elements of a row, or of its vectors of `lanes`, which
        divide the width. What the team looks at in one turn are neighbours."""
        with self.k.range_(self.lane * lanes if lanes > 1 else self.lane, width, self.size * lanes) as index:
            yield index

    def sum(self, *values: Value) -> list[Value]:
        """Adds up each of the values over the team; everyone gets the sums."""
        return self.combine("add", values)

    def max(self, *values: Value) -> list[Value]:
        """The largest of each over the team; for floats without regard to NaN, whose place `math.order` knows."""
        return self.combine("max", values)

    def combine(self, operation: Operation, values: Sequence[Value]) -> list[Value]:
        """Combines each of the values, all of one scalar type, over the team; everyone gets the results."""
        if self.size == 1:
            return list(values)
        subgroup = self.k.required_subgroup
        if subgroup is not None and self.size <= subgroup:
            return [self._by_shuffles(operation, value) for value in values]
        if subgroup is not None and self.count == 1:
            return self._by_subgroups(operation, values, -(-self.k.invocations // subgroup))
        return self._by_tree(operation, values)

    def _by_shuffles(self, operation: Operation, value: Value) -> Value:
        """A team within a subgroup."""
        step = 1
        while step < self.size:
            value = self._pair(operation)(value, self.k.subgroup_shuffle_xor(value, step))
            step *= 2
        return value

    def _by_subgroups(self, operation: Operation, values: Sequence[Value], most: int) -> list[Value]:
        """All of the workgroup: each of at most so many subgroups by itself, then their results, in every one alike."""
        k = self.k
        parts = [k.subgroup_reduce(operation, value) for value in values]
        scratch = self._shared(values[0].type, len(values) * most)
        k.barrier()  # what was combined before has been read
        with k.if_(k.subgroup_elect()):
            for place, part in enumerate(parts):
                scratch[k.subgroup_id + place * most] = part
        k.barrier()
        results: list[Value] = []
        for place in range(len(values)):
            first = scratch[place * most]
            neutral = k.constant(first.type, 0) if operation == "add" else first
            total = k.variable(neutral)
            with k.range_(0, k.subgroup_count, k.subgroup_size) as base:
                other = base + k.subgroup_lane
                there = other < k.subgroup_count
                part = scratch[k.select(there, other, 0) + place * most]
                total.value = self._pair(operation)(total.value, k.select(there, part, neutral))
            results.append(k.subgroup_reduce(operation, total.value))
        return results

    def _by_tree(self, operation: Operation, values: Sequence[Value]) -> list[Value]:
        """Teams whose subgroups are unknown, or may not be able to combine numbers."""
        k = self.k
        scratch = self._shared(values[0].type, len(values) * k.invocations)
        k.barrier()
        for place, value in enumerate(values):
            scratch[k.local_index + place * k.invocations] = value
        step = self.size // 2
        while step:
            k.barrier()
            with k.if_(self.lane < step):
                for place in range(len(values)):
                    here = k.local_index + place * k.invocations
                    scratch[here] = self._pair(operation)(scratch[here], scratch[here + step])
            step //= 2
        k.barrier()
        return [scratch[k.local_index - self.lane + place * k.invocations] for place in range(len(values))]

    def _pair(self, operation: Operation) -> Callable[[Value, Value], Value]:
        return {"add": lambda a, b: a + b, "max": self.k.maximum, "min": self.k.minimum}[operation]

    def _shared(self, type_: Type, count: int) -> Indexed:
        known = self._scratch.get(type_)
        if known is None or known.count < count:
            known = self._scratch[type_] = self.k.shared(type_, count)
        return known
