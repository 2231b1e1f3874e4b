"""Blocks of the operands of a product on their way to shared memory, as cooperative matrices read them: in 16 bits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs

from alpha_helios.kernels.access import STORED, Elements
from alpha_helios.kernels.tile import Side
from alpha_helios.spirv.cooperative import Layout, Matrix, MatrixType
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Indexed, Variable
from alpha_helios.spirv.types import f32, i16, i32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["COOP_TILES", "GROUP", "WORDS", "CoopTile", "Stage"]

GROUP = 8
"""Neighbours that are moved together: 16 bytes."""
WORDS = vector(i32, 4)
"""A group as shared memory holds it, whatever the matrices are made of."""


@attrs.frozen
class CoopTile:
    """A block of the result that a workgroup computes, `depth` steps of the sum at a time.

    Its `down` by `across` subgroups have a part each. For 16 steps a subgroup reads 16 * (high + wide) numbers of 16
    bits from shared memory for 16 * high * wide multiply-adds: parts of 64 by 64 read 1 byte for 16 of them, so that
    a processor that does 1024 in a cycle reads 64 bytes, half of what shared memory gives.
    """

    rows: int
    columns: int
    depth: int
    down: int
    across: int

    @property
    def subgroups(self) -> int:
        return self.down * self.across

    @property
    def high(self) -> int:
        """Rows of a subgroup's part."""
        return self.rows // self.down

    @property
    def wide(self) -> int:
        """Columns of a subgroup's part."""
        return self.columns // self.across

    def accumulators(self, subgroup: int) -> int:
        """Registers of an invocation that hold sums."""
        return self.high * self.wide // subgroup

    def groups(self, along: tuple[str, str]) -> tuple[int, int]:
        """Groups of 16 bytes that a block of each operand takes in shared memory."""
        left, right = along
        return _pitch(left, self.rows, self.depth)[1], _pitch(right, self.columns, self.depth)[1]

    def strip(self, rows: int) -> int:
        """Groups of 16 bytes for `rows` rows of a subgroup's sums."""
        return rows * (self.wide // 4 + 1)

    def shared_bytes(self, along: tuple[str, str], rows: int) -> int:
        """Both operands twice; later, in the same place, a strip of `rows` rows of sums for each subgroup."""
        return 16 * max(2 * sum(self.groups(along)), self.subgroups * self.strip(rows))


COOP_TILES = {
    "256x128x32": CoopTile(256, 128, 32, 4, 2),
    "256x128x16": CoopTile(256, 128, 16, 4, 2),
    "128x128x32": CoopTile(128, 128, 32, 2, 2),
    "128x128x32 by 8": CoopTile(128, 128, 32, 2, 4),
    "128x64x32": CoopTile(128, 64, 32, 2, 2),
    "64x64x32": CoopTile(64, 64, 32, 2, 2),
    "32x64x32": CoopTile(32, 64, 32, 1, 2),
    "32x32x32": CoopTile(32, 32, 32, 2, 2),
    "32x32x16": CoopTile(32, 32, 16, 2, 2),
    "16x64x32": CoopTile(16, 64, 32, 1, 2),
    "16x16x16": CoopTile(16, 16, 16, 2, 2),
}
"""By the name that traces and tuning results show."""


class Stage:
    """The share of one invocation in bringing blocks of an operand to shared memory: some groups of 8 neighbours each.

    A block lies there in the direction that has no gaps in memory: as (lines, depth) or as (depth, lines), which
    matrices read by rows or by columns. Where it is `turned`, it always lies as (lines, depth): an invocation reads 8
    groups one below the other, and exchanges rows and columns. Each row of a block is followed by 16 unused bytes, so
    that 8 rows one below the other begin in different banks.

    Lines beyond the last are read as the last one; what comes of them is not stored. Steps beyond the last are zeros on
    both sides, so that nothing but zeros is added for them.
    """

    def __init__(
        self,
        k: Kernel,
        source: Elements,
        side: Side,
        depth: int,
        width: int,
        first: Value,
        lines: Value,
        stride: Value,
        stop: Value,
        *,
        ragged: bool,
        turned: bool,
        last: bool,
    ) -> None:
        """Takes `width` lines from line `first` on, of `lines`, `depth` steps at a time; sums end before `stop`.

        `stride` (i64) is that of the direction with gaps. With `ragged` steps at `stop` or beyond may be asked for. If
        there is no work for all, the first invocations do it, or the `last` ones.
        """
        self.k, self.side, self.stop, self.ragged = k, side, stop, ragged
        self.along_inner = side.along == "inner"
        self._square = turned and not self.along_inner
        self._by_lines = turned or self.along_inner
        self.pitch, self.size = _pitch("inner" if self._by_lines else "lines", width, depth)
        self.advance = k.constant(i64, depth) if self.along_inner else stride * depth
        """By how many elements the next block lies further."""
        start = k.convert(first, i64)
        self._source = source + (start * stride if self.along_inner else start)
        self._lines, self._stride = lines - first, stride if not side.near else k.convert(stride, i32)
        self._offsets: list[list[Value]] = []
        self._steps: list[list[Value]] = []
        self._places: list[Value] = []
        row = (depth if self._by_lines else width) // GROUP
        items = width * depth // (GROUP**2 if self._square else GROUP)
        self._index = k.invocations - 1 - k.local_index if last and items < k.invocations else k.local_index
        self._busy = items if items < k.invocations else None
        """How many invocations have work, if not all."""
        for number in range(-(-items // k.invocations)):
            index = self._index + number * k.invocations
            near, far = (index & row - 1) * GROUP, index >> row.bit_length() - 1
            if self._square:
                for step in range(GROUP):
                    self._prepare(far * GROUP, near + step)
                    self._places.append((far * GROUP + step) * self.pitch + (near >> 3))
            else:
                self._prepare(near, far)
                self._places.append(far * self.pitch + (near >> 3))

    def _prepare(self, near: Value, far: Value) -> None:
        """Says where a group is read and which steps it has: that which begins at `near` along row `far` in memory."""
        k, lanes = self.k, range(0, GROUP, self.side.lanes)
        itemsize = STORED[self.side.stored].nbytes
        if self.along_inner:
            line = k.minimum(far, self._lines - 1)
            places = [(line, near + lane) for lane in lanes]
            self._steps.append([step for _, step in places])
        else:
            places = [(far, k.minimum(near + lane, self._lines - self.side.lanes)) for lane in lanes]
            self._steps.append([far for _ in lanes])
        type_ = self._stride.type
        self._offsets.append([(k.convert(y, type_) * self._stride + k.convert(x, type_)) * itemsize for y, x in places])

    @property
    def groups(self) -> int:
        return len(self._places)

    @contextmanager
    def _taking_part(self) -> Iterator[None]:
        """Leaves out invocations for which there is no work."""
        if self._busy is None:
            yield
        else:
            with self.k.if_(self._index < self._busy):
                yield

    def fetch(self, base: Value, walked: Value, held: Sequence[Variable]) -> None:
        """Reads this invocation's groups of the block that begins at step `base`, `walked` elements further."""
        with self._taking_part():
            source = self._source + walked
            for offsets, steps, variable in zip(self._offsets, self._steps, held, strict=True):
                parts = [self._read(source, offset, base + step) for offset, step in zip(offsets, steps, strict=True)]
                variable.value = self._words(parts)

    def _read(self, source: Elements, offset: Value, step: Value) -> Value:
        """Reads some neighbours: words of two halves each, or one half in the lower part of a word."""
        k, side = self.k, self.side
        within = step < self.stop
        if self.ragged:
            offset = k.select(within, offset, 0)
        place = source.place.at(k.widen_unsigned(offset, i64) if side.near else offset)
        if side.stored != side.rounded:
            value = _converted(k, Elements(place, side.stored), side)
        elif side.lanes > 1:
            value = place.cast(i32).load(0, side.lanes // 2)
        else:
            value = k.widen_unsigned(place.cast(i16).load(), i32)
        return k.select(within, value, k.constant(value.type, 0)) if self.ragged else value

    def _words(self, parts: list[Value]) -> Value:
        """Puts a group together."""
        k = self.k
        if len(parts) == 1:
            return parts[0]
        if len(parts) == 2:
            return k.shuffle(parts[0], parts[1], (0, 1, 2, 3))
        return k.vector(*(parts[lane] | (parts[lane + 1] << 16) for lane in range(0, GROUP, 2)))

    def put(self, pool: Indexed, values: Sequence[Variable], start: Value) -> None:
        """Writes groups that were read to shared memory, to the buffer that begins at group `start`."""
        with self._taking_part():
            groups = [one.value for one in values]
            if self._square:
                squares = [groups[first : first + GROUP] for first in range(0, len(groups), GROUP)]
                groups = [group for square in squares for group in _turned(self.k, square)]
            for group, place in zip(groups, self._places, strict=True):
                pool[start + place] = group

    def at(self, line: Value) -> Value:
        """How many groups after the start of a block a line begins, a multiple of 8."""
        return line * self.pitch if self._by_lines else line >> 3

    def matrix(self, pool: Indexed, type_: MatrixType, start: Value, line: int, step: int) -> Matrix:
        """Reads the factor that begins `line` lines and `step` steps after the group `start`."""
        far, near = (line, step) if self._by_lines else (step, line)
        layout: Layout = "row" if self._by_lines == (type_.use == "a") else "column"
        place = start + (far * self.pitch + near // GROUP)
        return self.k.coop_load(type_, pool, place, stride=self.pitch * GROUP, layout=layout)


def _pitch(along: str, width: int, depth: int) -> tuple[int, int]:
    """Groups from row to row of a block in shared memory, and of all of it."""
    rows, row = (width, depth) if along == "inner" else (depth, width)
    pitch = row // GROUP + 1
    return pitch, rows * pitch


def _turned(k: Kernel, rows: Sequence[Value]) -> list[Value]:
    """The columns of a square of 8 groups."""
    columns = []
    for pair in range(GROUP // 2):
        words = [row[pair] for row in rows]
        upper, lower = words[::2], words[1::2]
        columns.append(k.vector(*((a & 0xFFFF) | (b << 16) for a, b in zip(upper, lower, strict=True))))
        columns.append(k.vector(*((a >> 16) | (b & -0x10000) for a, b in zip(upper, lower, strict=True))))
    return columns


def _converted(k: Kernel, source: Elements, side: Side) -> Value:
    """Reads `side.lanes` neighbours that are stored as something else and rounds them, as words."""
    word = k.f16_word if side.rounded == "f16" else k.bf16_word

    def halves(index: int, lanes: int) -> Value:
        value = source.load(index, lanes)
        return word(value if value.type.is_float else k.convert(value, f32))

    if side.lanes == 1:
        return halves(0, 0)
    fours = [halves(index, 4) for index in range(0, side.lanes, 4)]
    pairs = [k.shuffle(four, four, (0, 2)) | (k.shuffle(four, four, (1, 3)) << 16) for four in fours]
    return pairs[0] if len(pairs) == 1 else k.shuffle(pairs[0], pairs[1], (0, 1, 2, 3))
