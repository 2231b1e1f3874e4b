"""Blocks of the operands of a product on their way from memory to shared memory."""

from collections.abc import Callable, Sequence

import attrs

from alpha_helios.kernels.access import STORED, Elements, rounded
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Variable
from alpha_helios.spirv.types import f32, i32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["TILES", "Feed", "Side", "Tile"]


@attrs.frozen
class Tile:
    """A block of the result that a workgroup computes, `depth` steps of the sum at a time.

    The blocks of both operands for these steps are twice in shared memory: one is read while the next one is written.
    An invocation has `high` by `wide` elements of it, in groups of 4 by 4 that lie apart. For a step it reads
    `high + wide` numbers from shared memory, 16 bytes at a time, and does `high * wide` fused multiply-adds.
    """

    rows: int
    columns: int
    depth: int
    high: int
    wide: int

    @property
    def across(self) -> int:
        """Invocations beside each other, each with a group of 4 columns."""
        return self.columns // self.wide

    @property
    def down(self) -> int:
        """Invocations below each other."""
        return self.rows // self.high

    @property
    def invocations(self) -> int:
        return self.across * self.down

    @property
    def shared_bytes(self) -> int:
        return 2 * 4 * self.depth * (self.rows + self.columns)


TILES = {
    "128x128x16": Tile(128, 128, 16, 8, 8),
    "128x128x8": Tile(128, 128, 8, 8, 8),
    "128x64x16": Tile(128, 64, 16, 8, 4),
    "64x64x16": Tile(64, 64, 16, 4, 4),
    "32x32x16": Tile(32, 32, 16, 4, 4),
    "16x128x16": Tile(16, 128, 16, 4, 8),
}
"""By the name that traces and tuning results show."""


@attrs.frozen
class Side:
    """How an operand lies in memory. Part of a kernel's identity."""

    stored: str
    along: str
    """The direction without gaps: `inner`, that of the sum, or `lines`: rows of the left, columns of the right one."""
    lanes: int
    """How many neighbours are read at once: such groups are aligned, and none crosses an edge."""
    rounded: str = "f32"
    """What elements are rounded to before they are multiplied."""
    near: bool = True
    """Whether what a tile reads of a block lies within 2 GiB, so that 32 bits tell its places apart."""


class Feed:
    """The share of one invocation in bringing blocks of an operand to shared memory: some groups of 4 neighbours each.

    There a block stands as (depth, lines), so that the product reads neighbouring lines at once. Groups along the sum
    are written as 4 separate numbers; lines are swapped (within 32, if there are so many) by the number of the group,
    so that those that a subgroup writes at once go to different banks.

    Lines beyond the last are read as the last one; what comes of them is not stored. Steps beyond the last are zeros on
    both sides, so that nothing but zeros is added for them.
    """

    def __init__(
        self,
        k: Kernel,
        source: Elements,
        side: Side,
        tile: Tile,
        width: int,
        first: Value,
        lines: Value,
        stride: Value,
        stop: Value,
        *,
        ragged: bool,
    ) -> None:
        """Takes the `width` lines of a tile from line `first` on, of `lines`; sums end before `stop`.

        `stride` (i64) is that of the direction with gaps. With `ragged` steps at `stop` or beyond may be asked for.
        """
        self.k, self.side, self.tile, self.width = k, side, tile, width
        self.stop, self.ragged = stop, ragged
        self.block = tile.depth * width // 4
        """Groups of 4 numbers in a block; at so many the second one begins."""
        self.shared = k.shared(vector(f32, 4), 2 * self.block)
        self.along_inner = side.along == "inner"
        self.advance = k.constant(i64, tile.depth) if self.along_inner else stride * tile.depth
        """By how many elements the next block lies further."""
        start = k.convert(first, i64)
        self._source = source + (start * stride if self.along_inner else start)
        self._lines, self._stride = lines - first, stride if not side.near else k.convert(stride, i32)
        self._offsets: list[list[Value]] = []
        self._steps: list[list[Value]] = []
        self._places: list[list[tuple[Value, Value | None]]] = []
        for group in range(width * tile.depth // 4 // k.invocations):
            self._prepare(k.local_index + group * k.invocations)

    @property
    def groups(self) -> int:
        return len(self._places)

    def _prepare(self, group: Value) -> None:
        """Says where a group is read, which steps it has, and where it is put."""
        k, lanes = self.k, range(0, 4, self.side.lanes)
        if self.along_inner:
            quarter = self.tile.depth // 4
            step, line = (group & quarter - 1) * 4, group >> quarter.bit_length() - 1
            start = self._bytes(k.minimum(line, self._lines - 1), step)
            self._offsets.append([start + lane * self._itemsize for lane in lanes])
            self._steps.append([step + lane for lane in lanes])
            place = line ^ (step >> 2) * (128 // self.tile.depth) & self.width - 1
            self._places.append([((step + i) * (self.width // 4) + (place >> 2), place & 3) for i in range(4)])
            return
        quarter = self.width // 4
        step, line = group >> quarter.bit_length() - 1, (group & quarter - 1) * 4
        starts = [k.minimum(line + lane, self._lines - self.side.lanes) for lane in lanes]
        self._offsets.append([self._bytes(step, start) for start in starts])
        self._steps.append([step for _ in lanes])
        self._places.append([(step * quarter + (line >> 2), None)])

    @property
    def _itemsize(self) -> int:
        return STORED[self.side.stored].nbytes

    def _bytes(self, jumps: Value, neighbours: Value) -> Value:
        """How far from the start of a block an element lies."""
        type_ = self._stride.type
        return (self.k.convert(jumps, type_) * self._stride + self.k.convert(neighbours, type_)) * self._itemsize

    def fetch(self, base: Value, walked: Value) -> list[Value]:
        """Reads this invocation's groups of the block that begins at step `base`, `walked` elements further."""
        source, groups = self._source + walked, []
        for offsets, steps in zip(self._offsets, self._steps, strict=True):
            parts = [self._read(source, offset, base + step) for offset, step in zip(offsets, steps, strict=True)]
            groups.append(parts[0] if len(parts) == 1 else self.k.vector(*parts))
        return groups

    def _read(self, source: Elements, offset: Value, step: Value) -> Value:
        k, side = self.k, self.side
        if self.ragged:
            within = step < self.stop
            offset = k.select(within, offset, 0)
        place = source.place.at(k.widen_unsigned(offset, i64) if side.near else offset)
        value = Elements(place, side.stored).load(0, side.lanes if side.lanes > 1 else 0)
        if not value.type.is_float:
            value = k.convert(value, f32)
        if side.rounded != side.stored:
            value = rounded(k, value, side.rounded)
        return k.select(within, value, 0.0) if self.ragged else value

    def put(self, groups: Sequence[Variable], start: Value) -> None:
        """Writes groups that were read to shared memory, to the block that begins at `start`."""
        for group, places in zip(groups, self._places, strict=True):
            for lane, (place, part) in enumerate(places):
                if part is None:
                    self.shared[start + place] = group.value
                else:
                    self.shared.store_lane(start + place, part, group.value[lane])

    def reader(self, start: Value, four: Value | int, position: Value, apart: int) -> Callable[[int], list[Value]]:
        """Returns what reads a step, of the 4 with number `four` of the block at `start`: groups of 4 lines, from
        `position` on, `apart`."""
        quarter = self.width // 4
        swap = four * (32 // self.tile.depth) & quarter - 1 if self.along_inner else 0
        first = start + (position ^ swap)

        def read(step: int) -> list[Value]:
            row = four * self.width + step * quarter
            return [self.shared[first + (row + group)] for group in range(0, quarter, apart)]

        return read
