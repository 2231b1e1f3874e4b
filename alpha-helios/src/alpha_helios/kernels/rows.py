"""What kernels on rows share: an invocation's share of a row, in registers if it fits, and where the rows are."""

from collections.abc import Callable, Sequence
from functools import reduce

from alpha_helios.kernels.access import Elements
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Variable
from alpha_helios.spirv.types import f32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["ROW_AXES", "UNDER_WAY", "Look", "Part", "Row", "RowPlaces"]

ROW_AXES = 3
"""Axes along which rows of a strided tensor are counted, the last one first."""
UNDER_WAY = 4
"""Vectors of a long row that an invocation has under way at once."""

Part = tuple[Value, int]
"""The index of a vector in its row, and which of those it is that an invocation has or has under way."""
Look = Callable[[Value, int], Value]


class Row:
    """A row of `width` elements, shared out to a team in vectors of `lanes`, which must divide the width.

    With `chunks`, an invocation has at most so many vectors, and holds them in registers; with 0 it may have any
    number, and reads them again for each pass. A team without a row has one of width 0.
    """

    def __init__(self, team: Team, width: Value, lanes: int, chunks: int) -> None:
        self.k, self.team, self.width, self.lanes, self.chunks = team.k, team, width, lanes, chunks

    def each(self, body: Callable[[Value, int], None]) -> None:
        """Builds `body(index, slot)` for the vectors of this invocation."""
        self.blocks(1, lambda parts: body(*parts[0]))

    def blocks(self, most: int, body: Callable[[Sequence[Part]], None]) -> None:
        """Builds `body(parts)` for the vectors of this invocation, up to `most` of them at once if there are many."""
        k, step = self.k, self.team.size * self.lanes
        first = self.team.lane * self.lanes
        if self.chunks:
            for slot in range(self.chunks):
                index = first + slot * step
                with k.if_(index < self.width):
                    body([(index, slot)])
            return
        whole = self.width // (step * most) * (step * most)
        if most > 1:
            with k.range_(first, whole, step * most) as index:
                body([(index + slot * step, slot) for slot in range(most)])
        with k.range_(first + whole if most > 1 else first, self.width, step) as index:
            body([(index, 0)])

    def held(self, place: Elements) -> Look:
        """Returns what gives the vector at (index, slot) of a row: from registers, or by loading it again each time."""
        if not self.chunks:
            return lambda index, slot: place.load(index, self.lanes)
        kept = self.registers(self.chunks)

        def keep(index: Value, slot: int) -> None:
            kept[slot].value = place.load(index, self.lanes)

        self.each(keep)
        return lambda index, slot: kept[slot].value

    def registers(self, count: int, initial: float = 0.0) -> list[Variable]:
        """Returns `count` vectors that can be assigned to."""
        return [self.k.variable(initial, vector(f32, self.lanes)) for _ in range(count)]

    def sums(self, count: int, terms: Callable[[Value, int], Sequence[Value]]) -> list[Value]:
        """Returns the sums along the row of `count` terms, which `terms(index, slot)` gives for a vector."""
        totals = [self.registers(UNDER_WAY) for _ in range(count)]

        def add(parts: Sequence[Part]) -> None:
            for index, slot in parts:
                for total, term in zip(totals, terms(index, slot), strict=True):
                    place = total[slot % UNDER_WAY]
                    place.value = place.value + term

        self.blocks(UNDER_WAY, add)
        return self.team.sum(*(self.k.horizontal_sum(_added(total)) for total in totals))


class RowPlaces:
    """Where the rows of a tensor are whose last axis has no gaps; takes the strides from the kernel's arguments."""

    def __init__(self, k: Kernel, base: Elements, strided: bool) -> None:
        self._k, self._base = k, base
        self._lengths = [k.integer() for _ in range(ROW_AXES - 1)] if strided else []
        self._strides = [k.long() for _ in range(ROW_AXES if strided else 1)]

    def __getitem__(self, row: Value) -> Elements:
        """The elements of a row, by its number (i32)."""
        rest, offset = row, self._k.constant(i64, 0)
        for length, stride in zip(self._lengths, self._strides, strict=False):
            offset, rest = offset + self._k.convert(rest % length, i64) * stride, rest // length
        return self._base + (offset + self._k.convert(rest, i64) * self._strides[-1])


def _added(variables: Sequence[Variable]) -> Value:
    return reduce(lambda a, b: a + b, (variable.value for variable in variables))
