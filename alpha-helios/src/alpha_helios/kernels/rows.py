"""What kernels on rows share: an invocation's share of a row, in registers if it fits, and where the rows are."""

from collections.abc import Callable, Sequence
from functools import reduce

from alpha_helios.kernels.access import Elements
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Variable
from alpha_helios.spirv.types import f32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["ROW_AXES", "Look", "Part", "Row", "RowPlaces"]

ROW_AXES = 3
"""Axes along which rows of a strided tensor are counted, the last one first."""
_UNDER_WAY = 16
"""Elements of a long row that an invocation looks at at once."""

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
        self.under_way = 1 if chunks else _UNDER_WAY // lanes
        """How many vectors an invocation looks at at once."""

    def blocks(self, body: Callable[[Sequence[Part]], None]) -> None:
        """Builds `body(parts)` for the vectors of this invocation, up to `under_way` of them at once."""
        k, step, most = self.k, self.team.size * self.lanes, self.under_way
        first = self.team.lane * self.lanes
        if self.chunks:
            for slot in range(self.chunks):
                index = first + slot * step
                with k.if_(index < self.width):
                    body([(index, slot)])
            return
        whole = self.width // (step * most) * (step * most)
        with k.range_(first, whole, step * most) as index:
            body([(index + slot * step, slot) for slot in range(most)])
        with k.range_(first + whole, self.width, step) as index:
            body([(index, 0)])

    def each(self, body: Callable[..., None], *looks: Look) -> None:
        """Builds `body(index, slot, *values)` for the vectors of this invocation, with what the looks give there.

        What is under way at once is loaded before any of it is stored.
        """

        def all_at_once(parts: Sequence[Part]) -> None:
            values = [[look(*part) for look in looks] for part in parts]
            for part, of_part in zip(parts, values, strict=True):
                body(*part, *of_part)

        self.blocks(all_at_once)

    def sums(self, count: int, terms: Callable[..., Sequence[Value]], *looks: Look) -> list[Value]:
        """Returns the sums along the row of the `count` terms that `terms(*values)` makes of what the looks give."""
        totals = [self.registers(self.under_way) for _ in range(count)]

        def add(index: Value, slot: int, *values: Value) -> None:
            for total, term in zip(totals, terms(*values), strict=True):
                place = total[slot % self.under_way]
                place.value = place.value + term

        self.each(add, *looks)
        return self.team.sum(*(self.k.horizontal_sum(_added(total)) for total in totals))

    def held(self, place: Elements) -> Look:
        """Returns what gives the vector at (index, slot) of a row: from registers, or by loading it again each time."""
        if not self.chunks:
            return self.read(place)
        kept = self.registers(self.chunks)

        def keep(index: Value, slot: int) -> None:
            kept[slot].value = place.load(index, self.lanes)

        self.each(keep)
        return lambda index, slot: kept[slot].value

    def read(self, place: Elements) -> Look:
        """Returns what loads the vector at (index, slot) of a row."""
        return lambda index, slot: place.load(index, self.lanes)

    def registers(self, count: int) -> list[Variable]:
        """Returns `count` vectors of zeros that can be assigned to."""
        return [self.k.variable(0.0, vector(f32, self.lanes)) for _ in range(count)]


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
