"""What attention on cooperative matrices is made of: rows in 16 bits and strips of scores in shared memory.

A subgroup has `high` matrices of rows of its own, and all subgroups of a workgroup meet the same block of other rows.
Which invocation holds which number of a matrix is up to the device. So scores go through shared memory: each row of
them is read by invocations that know it, and what they make of it in 16 bits stands where its scores were.
"""

import math
from collections.abc import Callable, Sequence

import attrs

from alpha_helios.kernels.access import Elements
from alpha_helios.kernels.attention_tile import Rows
from alpha_helios.kernels.matmul_coop import Fragment
from alpha_helios.spirv.cooperative import Layout, Matrix, MatrixType, MatrixVariable
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Indexed, Variable
from alpha_helios.spirv.types import Type, bf16, f16, f32, i32, vector
from alpha_helios.spirv.value import Value

__all__ = ["COMPONENTS", "GROUP", "WORDS", "Factors", "Following", "Panel", "PanelTile", "Strip", "among"]

GROUP = 8
"""Neighbours in 16 bits that are moved together: 16 bytes."""
WORDS = vector(i32, 4)
"""16 bytes as shared memory holds them, whatever they are."""
_WORD = 32
"""Bits."""
COMPONENTS: dict[str, Type] = {"f16": f16, "bf16": bf16}
"""Components of the factors of products, by the name of the dtype."""


@attrs.frozen
class PanelTile:
    """How many rows and columns meet in a workgroup, and what their products are made of."""

    fragment: Fragment
    subgroup: int
    """Invocations of a subgroup."""
    subgroups: int
    high: int
    """Matrices of rows that a subgroup has."""
    columns: int

    def __str__(self) -> str:
        return f"{self.subgroups}x{self.high}x{self.columns} of {self.fragment}"

    @property
    def strip_rows(self) -> int:
        """Rows of a subgroup."""
        return self.high * self.fragment.m

    @property
    def rows(self) -> int:
        return self.subgroups * self.strip_rows

    @property
    def invocations(self) -> int:
        return self.subgroups * self.subgroup

    @property
    def fits(self) -> bool:
        """Whether a row of scores can be shared out among invocations, and its factors stand beside its weights."""
        members = max(1, self.subgroup // self.strip_rows)
        whole = self.columns % math.lcm(self.fragment.n, self.fragment.k, GROUP * members) == 0
        powers = all(number & number - 1 == 0 for number in (self.strip_rows, self.subgroup))
        return whole and powers and 2 * self.fragment.n <= self.columns

    @property
    def fits_in_place(self) -> bool:
        """Whether matrices of scores can become factors as they are, and invocations share out what may be dropped."""
        powers = all(number & number - 1 == 0 for number in (self.strip_rows, self.subgroup, self.columns))
        return self.fragment.n == self.fragment.k and powers and self.columns % self.fragment.n == 0

    @property
    def span(self) -> int:
        """Columns of a row of which an invocation knows at once whether they are dropped."""
        return max(4, min(_WORD, self.columns, self.strip_rows * self.columns // self.subgroup))

    @property
    def kept_words(self) -> int:
        """Words of a row that say it."""
        return self.columns // self.span

    def padded(self, width: int) -> int:
        """The width of heads with zeros up to whole matrices."""
        unit = math.lcm(self.fragment.n, self.fragment.k, GROUP)
        return -(-width // unit) * unit

    def pitch(self, width: int) -> int:
        """Groups of 16 bytes from row to row of a panel: 16 bytes more than a row, so that 8 rows one below the other
        begin in different banks."""
        return self.padded(width) // GROUP + 1

    def compiled(self, width: int, products: int) -> int:
        """Products of matrices in the code of a kernel that takes so many products of blocks."""
        return products * self.high * self.padded(width) // min(self.fragment.n, self.fragment.k)

    @property
    def strip_pitch(self) -> int:
        """Groups of 16 bytes from row to row of a strip."""
        return self.columns // 4 + 1

    def words(self, width: int, strips: int, kept: int) -> int:
        """Groups of 16 bytes for two panels of columns, strips, and panels of the workgroup's own rows that are kept
        there; at first there must be room for one of these."""
        pitch = self.pitch(width)
        later = 2 * self.columns * pitch + strips * self.rows * self.strip_pitch + kept * self.rows * pitch
        return max(later, self.rows * pitch)


class Panel:
    """A block of rows of heads in 16 bits in shared memory."""

    def __init__(
        self, k: Kernel, pool: Indexed, start: int, count: int, tile: PanelTile, width: int, lanes: int
    ) -> None:
        """Takes `count` rows from group `start` of the pool on. `lanes` (8 or 1) neighbours are read at once; 8 divide
        the width."""
        self.k, self.pool, self.start, self.count, self.width, self.lanes = k, pool, start, count, width, lanes
        self.pitch, self.groups = tile.pitch(width), tile.padded(width) // GROUP
        self._indices = [k.local_index + first for first in range(0, count * self.groups, k.invocations)]

    def fetch(self, rows: Rows, start: Value, last: Value, dtype: str) -> list[Value]:
        """Reads this invocation's part of the rows from `start` on, rounded. Rows beyond `last` are read as it is."""
        return [
            self._read(rows[self.k.minimum(start + index // self.groups, last)], index % self.groups * GROUP, dtype)
            for index in self._indices
        ]

    def _read(self, row: Elements, first: Value, dtype: str) -> Value:
        k = self.k
        if self.lanes == GROUP:
            within = first < self.width
            place = k.select(within, first, 0)
            if row.stored == dtype:
                words = (row.place + place).cast(i32).load(0, 4)
            else:
                words = packed(k, [*k.lanes(row.load(place, 4)), *k.lanes(row.load(place + 4, 4))], dtype)
            return words if self.groups * GROUP == self.width else k.select(within, words, k.constant(WORDS, 0))
        numbers = [row.load(k.minimum(first + lane, self.width - 1)) for lane in range(GROUP)]
        return packed(
            k, [k.select(first + lane < self.width, number, 0.0) for lane, number in enumerate(numbers)], dtype
        )

    def put(self, values: Sequence[Value | Variable]) -> None:
        """Writes what `fetch` read."""
        for index, one in zip(self._indices, values, strict=True):
            value = one.value if isinstance(one, Variable) else one
            row, group = index // self.groups, index % self.groups
            place = row * self.pitch + group + self.start
            if self.count * self.groups % self.k.invocations == 0:
                self.pool[place] = value
            else:
                with self.k.if_(row < self.count):
                    self.pool[place] = value

    def matrix(self, type_: MatrixType, row: int | Value, first: int, layout: Layout = "row") -> Matrix:
        """Reads a matrix from number `first` of a row on. Rows of the panel are its rows, or with `column` its
        columns."""
        place = row * self.pitch + (self.start + first // GROUP)
        return self.k.coop_load(type_, self.pool, place, stride=self.pitch * GROUP, layout=layout)


class Strip:
    """For each subgroup a row of scores, as f32, for each of its own rows. Its first half can hold weights in 16 bits,
    the second one factors of rows."""

    def __init__(self, k: Kernel, pool: Indexed, start: int, tile: PanelTile) -> None:
        self.k, self.pool, self.tile, self.pitch = k, pool, tile, tile.strip_pitch
        self.start = k.subgroup_id * (tile.strip_rows * self.pitch) + start
        members = max(1, tile.subgroup // tile.strip_rows)
        self.members = members
        """Invocations that share a row, neighbours."""
        lane = k.subgroup_lane
        apart = tile.subgroup // members
        self.member = lane % members
        self.rows = [lane // members + n for n in range(0, tile.strip_rows, apart)]
        """The rows of this invocation, among those of its subgroup."""
        self.groups = [self.member + n for n in range(0, tile.columns // GROUP, members)]
        """Of 8 columns, those of this invocation."""

    def store(self, matrix: Matrix, high: int, column: int | Value) -> None:
        """Writes a matrix of f32 from a column on, to the rows of matrix `high`."""
        place = self.start + (high * self.tile.fragment.m * self.pitch + column // 4)
        self.k.coop_store(self.pool, place, matrix, stride=self.pitch * 4)

    def weights(self, type_: MatrixType, high: int, column: int | Value) -> Matrix:
        """Reads weights in 16 bits from a column on."""
        place = self.start + (high * self.tile.fragment.m * self.pitch + column // GROUP)
        return self.k.coop_load(type_, self.pool, place, stride=self.pitch * GROUP)

    def numbers(self, row: Value) -> list[list[Value]]:
        """Reads the scores of this invocation in a row, for each of its groups."""
        k, found = self.k, []
        for group in self.groups:
            place = self.start + (row * self.pitch + group * 2)
            halves = [k.bitcast(self.pool[place + half], vector(f32, 4)) for half in range(2)]
            found.append([number for half in halves for number in k.lanes(half)])
        return found

    def write(self, row: Value, groups: Sequence[Sequence[Value]], dtype: str) -> None:
        """Writes this invocation's weights of a row, in 16 bits."""
        for group, numbers in zip(self.groups, groups, strict=True):
            self.pool[self.start + (row * self.pitch + group)] = packed(self.k, numbers, dtype)

    def spread(self, row: Value, factor: Value) -> None:
        """Writes the factor of a row, for `scaled`."""
        words = self.k.bitcast(self.k.splat(factor, 4), WORDS)
        for place in range(0, self.tile.fragment.n // 4, self.members):
            here = self.member + place
            with self.k.if_(here < self.tile.fragment.n // 4):
                self.pool[self.start + (row * self.pitch + here + self.tile.columns // GROUP)] = words

    def scale(self, sums: Sequence[Sequence[MatrixVariable]]) -> None:
        """Multiplies each row by the factor that `spread` wrote; all subgroups' invocations have passed a barrier."""
        for high, line in enumerate(sums):
            place = self.start + (high * self.tile.fragment.m * self.pitch + self.tile.columns // GROUP)
            factors = self.k.coop_load(line[0].type, self.pool, place, stride=self.pitch * 4)
            for one in line:
                one.value = one.value * factors

    def copy(
        self, sums: Sequence[Sequence[MatrixVariable]], target: Rows, first: Value, count: Value, width: int, lanes: int
    ) -> None:
        """Writes rows of sums to memory, from row `first` of `count` on."""
        k, tile = self.k, self.tile
        vectors = tile.columns // 4
        each = tile.columns // tile.fragment.n
        for start in range(0, len(sums[0]), each):
            k.subgroup_barrier()
            for high, line in enumerate(sums):
                for n, one in enumerate(line[start : start + each]):
                    self.store(one.value, high, n * tile.fragment.n)
            k.subgroup_barrier()
            with k.range_(k.subgroup_lane, tile.strip_rows * vectors, tile.subgroup) as index:
                row, d = index // vectors, index % vectors * 4 + start * tile.fragment.n
                value = k.bitcast(self.pool[self.start + (row * self.pitch + index % vectors)], vector(f32, 4))
                here = target[k.minimum(first + row, count - 1)]
                for lane in range(0, 4, min(lanes, 4)):
                    with k.if_((first + row < count) & (d + lane < width)):
                        here.store(d + lane, value if lanes > 1 else value[lane])


@attrs.frozen
class Factors:
    """Products of matrices: of what a subgroup has with what all meet."""

    k: Kernel
    tile: PanelTile
    left: MatrixType
    right: MatrixType
    total: MatrixType
    unrolled: bool
    """Whether the driver is asked for code without loops."""

    @classmethod
    def of(cls, k: Kernel, tile: PanelTile, dtype: str, *, unrolled: bool) -> "Factors":
        one, component = tile.fragment, COMPONENTS[dtype]
        left, right = k.coop_matrix(component, one.m, one.k, "a"), k.coop_matrix(component, one.k, one.n, "b")
        return cls(k, tile, left, right, k.coop_matrix(f32, one.m, one.n, "accumulator"), unrolled)

    def sums(self, width: int) -> list[list[MatrixVariable]]:
        """Makes sums for the rows of a subgroup, which are 0."""
        columns = range(0, self.tile.padded(width), self.tile.fragment.n)
        return [[self.k.coop_variable(self.k.coop_fill(self.total, 0)) for _ in columns] for _ in range(self.tile.high)]

    def own(self, panel: Panel) -> list[list[Matrix]]:
        """Reads the rows of the subgroup from a panel of all."""
        numbers = range(panel.groups * GROUP // self.tile.fragment.k)
        return [[self._own(panel, high, n) for n in numbers] for high in range(self.tile.high)]

    def _own(self, panel: Panel, high: int, n: int) -> Matrix:
        first = self.k.subgroup_id * self.tile.strip_rows + high * self.tile.fragment.m
        return panel.matrix(self.left, first, n * self.tile.fragment.k)

    def multiply(self, own: Panel | Sequence[Sequence[Matrix]], panel: Panel, strip: Strip) -> None:
        """Writes products of the subgroup's rows, matrices or a panel with those of all, with a panel's to a strip."""
        k, fragment = self.k, self.tile.fragment
        with k.range_(0, self.tile.columns, fragment.n, unroll=self.unrolled) as column:
            sums = [k.coop_fill(self.total, 0) for _ in range(self.tile.high)]
            for n in range(panel.groups * GROUP // fragment.k):
                other = panel.matrix(self.right, column, n * fragment.k, "column")
                for high in range(self.tile.high):
                    mine = self._own(own, high, n) if isinstance(own, Panel) else own[high][n]
                    sums[high] = k.coop_muladd(mine, other, sums[high])
            for high, sum_ in enumerate(sums):
                strip.store(sum_, high, column)

    def products(self, own: Sequence[Sequence[Matrix]], panel: Panel) -> list[list[Matrix]]:
        """Returns products of the subgroup's rows with a panel's, which stay in matrices: a list for each of `own`."""
        k, fragment = self.k, self.tile.fragment
        lines: list[list[Matrix]] = [[] for _ in own]
        for column in range(0, self.tile.columns, fragment.n):
            sums = [k.coop_fill(self.total, 0) for _ in own]
            for n in range(panel.groups * GROUP // fragment.k):
                other = panel.matrix(self.right, column, n * fragment.k, "column")
                sums = [k.coop_muladd(mine[n], other, sum_) for mine, sum_ in zip(own, sums, strict=True)]
            for line, sum_ in zip(lines, sums, strict=True):
                line.append(sum_)
        return lines

    def add(self, weights: Sequence[Sequence[Matrix]], panel: Panel, sums: Sequence[Sequence[MatrixVariable]]) -> None:
        """Adds the rows of a panel, multiplied with weights: for each matrix of the subgroup's rows a list."""
        k, fragment = self.k, self.tile.fragment
        for place in range(len(weights[0])):
            for n in range(len(sums[0])):
                other = panel.matrix(self.right, place * fragment.k, n * fragment.n)
                for line, total in zip(weights, sums, strict=True):
                    total[n].value = k.coop_muladd(line[place], other, total[n].value)

    def mix(self, strip: Strip, panel: Panel, sums: Sequence[Sequence[MatrixVariable]]) -> None:
        """Adds the rows of a panel, multiplied with the weights in a strip."""
        k, fragment = self.k, self.tile.fragment
        with k.range_(0, self.tile.columns, fragment.k, unroll=self.unrolled) as column:
            weights = [strip.weights(self.left, high, column) for high in range(len(sums))]
            for n in range(len(sums[0])):
                other = panel.matrix(self.right, column, n * fragment.n)
                for factor, line in zip(weights, sums, strict=True):
                    line[n].value = k.coop_muladd(factor, other, line[n].value)


class Following:
    """Panels of rows that all subgroups meet, block by block: read from memory a block ahead, or when they are needed.

    What is read ahead is held in registers meanwhile.
    """

    def __init__(
        self,
        k: Kernel,
        panels: Sequence[Panel],
        rows: Sequence[Rows],
        start: Value,
        last: Value,
        dtype: str,
        *,
        ahead: bool,
    ) -> None:
        self._panels, self._rows, self._last, self._dtype = panels, rows, last, dtype
        self._held = [[k.variable(part) for part in parts] for parts in self._fetched(start)] if ahead else []

    def put(self, start: Value) -> None:
        """Writes the panels of the rows from `start` on."""
        if not self._held:
            for panel, parts in zip(self._panels, self._fetched(start), strict=True):
                panel.put(parts)
            return
        for panel, held in zip(self._panels, self._held, strict=True):
            panel.put(held)
        for held, parts in zip(self._held, self._fetched(start + self._panels[0].count), strict=True):
            for variable, part in zip(held, parts, strict=True):
                variable.value = part

    def _fetched(self, start: Value) -> list[list[Value]]:
        pairs = zip(self._panels, self._rows, strict=True)
        return [panel.fetch(rows, start, self._last, self._dtype) for panel, rows in pairs]


def among(k: Kernel, members: int, combine: Callable[[Value, Value], Value], value: Value) -> Value:
    """Combines a number over the invocations that share a row; all of them get the result."""
    step = 1
    while step < members:
        value = combine(value, k.subgroup_shuffle_xor(value, step))
        step *= 2
    return value


def packed(k: Kernel, numbers: Sequence[Value], dtype: str) -> Value:
    """Rounds 8 numbers to 16 bits, as 16 bytes."""
    word = k.f16_word if dtype == "f16" else k.bf16_word
    pairs = []
    for half in (numbers[:4], numbers[4:]):
        words = word(k.vector(*half))
        pairs.append(k.shuffle(words, words, (0, 2)) | (k.shuffle(words, words, (1, 3)) << 16))
    return k.shuffle(pairs[0], pairs[1], (0, 1, 2, 3))
