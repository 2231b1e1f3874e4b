"""What kernels on rows share: an invocation's share of a row, in registers if it fits, and where the rows are."""

from collections.abc import Callable, Sequence

from alpha_helios.kernels.access import Elements
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["ROW_AXES", "Part", "Row", "RowPlaces"]

ROW_AXES = 3
"""Axes along which rows of a strided tensor are counted, the last one first."""

Part = tuple[Value, int]
"""The index of a vector of a row, and which of those it is that an invocation has or has under way at once."""
Load = Callable[[Value], Value]
Look = Callable[[Value, int], Value]


class Row:
    """A row of `width` elements, shared out to a team in vectors of `lanes`, which must divide the width.

    With `chunks`, an invocation has at most so many vectors and can hold them in registers; with 0 it may have any
    number, and reads them again for each pass. A team without a row has a width of 0.
    """

    def __init__(self, team: Team, width: Value, lanes: int, chunks: int) -> None:
        self.k, self.team, self.width, self.lanes, self.chunks = team.k, team, width, lanes, chunks

    def each(self, body: Callable[[Value, int], None]) -> None:
        """Builds `body(index, slot)` for the vectors of this invocation."""
        self.blocks(lambda parts: [body(index, slot) for index, slot in parts], 1)

    def blocks(self, body: Callable[[Sequence[Part]], object], most: int) -> None:
        """Builds `body` for up to `most` vectors of this invocation at once, all that it has together."""
        k, step = self.k, self.team.size * self.lanes
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
        if most > 1:
            with k.range_(whole + first, self.width, step) as index:
                body([(index, 0)])
        else:
            with k.if_(whole + first < self.width):
                body([(whole + first, 0)])

    def held(self, load: Load) -> Look:
        """Returns what gives the vector at (index, slot) again: from registers if they hold the row, else by loading."""
        if not self.chunks:
            return lambda index, slot: load(index)
        kept = self.registers()

        def keep(index: Value, slot: int) -> None:
            kept[slot].value = load(index)

        self.each(keep)
        return lambda index, slot: kept[slot].value

    def registers(self, count: int | None = None) -> list["Variable"]:
        """Returns variables of zeros for vectors, as many as there are chunks if `count` does not say."""
        type_ = vector(f32, self.lanes)
        return [self.k.variable(0.0, type_) for _ in range(self.chunks if count is None else count)]

    def sums(self, terms: Callable[[Value, int], Sequence[Value]], count: int) -> list[Value]:
        """Returns the sums along the row of `count` terms."""
        totals = [self.registers(_UNDER_WAY) for _ in range(count)]

        def add(parts: Sequence[Part]) -> None:
            for index, slot in parts:
                for total, term in zip(totals, terms(index, slot), strict=True):
                    place = total[slot % _UNDER_WAY]
                    place.value = place.value + term

        self.blocks(add, 1 if self.chunks else _UNDER_WAY)
        parts = [self.k.horizontal_sum(_added([part.value for part in total])) for total in totals]
        return self.team.sum(*parts)
