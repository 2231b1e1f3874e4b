"""What the attention kernels are made of: blocks of rows in shared memory, products of two, and sums weighted by them.

A workgroup has a block of rows of its own and meets other rows block by block: queries that meet keys, or for the
gradients of keys and values keys that meet queries. An invocation has `high` rows and 4 neighbouring columns of the
products of the two; of results it has the same rows, and every `across`th vector of 4 numbers.
"""

from collections.abc import Sequence

import attrs

from alpha_helios.kernels.access import Elements
from alpha_helios.kernels.math import is_nan, tanh
from alpha_helios.kernels.random import philox4x32
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer, Variable
from alpha_helios.spirv.types import f32, i32, i64, vector
from alpha_helios.spirv.value import Number, Value

__all__ = [
    "LEAST",
    "LN2",
    "LOG2_E",
    "TILES",
    "Dropout",
    "Heads",
    "Rows",
    "Scores",
    "Stage",
    "Tile",
    "Weights",
    "mix",
    "power",
    "products",
    "store",
]

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
LEAST = -3.4028234663852886e38
"""Stands for the largest of no scores; unlike -inf it can be subtracted from -inf."""
_LEAST_POWER = -126.0
_MANY = 8
"""Vectors of 4 numbers in registers of an invocation beyond which code takes one after the other: one whose heads are
wide would be very long, and have no registers left."""


@attrs.frozen
class Tile:
    """A block of rows and one of columns that meet. `down` times `across` invocations work on it."""

    down: int
    across: int
    high: int
    """Rows of an invocation: 1, 2 or 4."""

    @property
    def rows(self) -> int:
        return self.down * self.high

    @property
    def columns(self) -> int:
        return 4 * self.across

    @property
    def invocations(self) -> int:
        return self.down * self.across

    def shared_bytes(self, width: int, stages: int, weights: int) -> int:
        """With `stages` blocks of rows and as many of columns, of heads of a width, and blocks of weights."""
        row = 16 * _stage_stride(width)
        return stages * (self.rows + self.columns) * row + weights * 16 * self.rows * (self.across | 1)


TILES = {
    "64x32": Tile(16, 8, 4),
    "32x32": Tile(16, 8, 2),
    "32x16": Tile(16, 4, 2),
    "16x16": Tile(8, 4, 2),
    "16x8": Tile(8, 2, 2),
}
"""By rows and columns, as traces and tuning results show them."""


@attrs.frozen
class Rows:
    """A matrix in memory whose rows have no gaps."""

    first: Elements
    stride: Value
    """i64."""

    def __getitem__(self, row: Value) -> Elements:
        return self.first + self.first.k.convert(row, i64) * self.stride


@attrs.frozen
class Heads:
    """A tensor (B, H, T, D) with any strides but that of D, which is 1."""

    first: Elements
    batch_stride: Value
    head_stride: Value
    row_stride: Value

    @classmethod
    def of(cls, k: Kernel, first: Elements) -> "Heads":
        """Takes the strides (i64) from the kernel's next arguments."""
        return cls(first, k.long(), k.long(), k.long())

    def rows(self, batch: Value, head: Value) -> Rows:
        k = self.first.k
        start = k.convert(batch, i64) * self.batch_stride + k.convert(head, i64) * self.head_stride
        return Rows(self.first + start, self.row_stride)


class Stage:
    """A block of `count` rows of `width` numbers in shared memory, as vectors of 4 with zeros behind the last number.

    Rows are an odd number of vectors apart, and those `group` apart stand next to each other: so invocations that read
    one vector of such rows at once find them in different banks.
    """

    def __init__(self, k: Kernel, count: int, width: int, group: int, lanes: int) -> None:
        """`lanes` (4 or 1) says how many numbers are read from memory at once; 4 divide the width."""
        self.k, self.count, self.width, self.group, self.lanes = k, count, width, group, lanes
        self.vectors, self.stride = -(-width // 4), _stage_stride(width)
        self.shared = k.shared(vector(f32, 4), count * self.stride)
        self._indices = [k.local_index + first for first in range(0, count * self.vectors, k.invocations)]

    @property
    def ahead(self) -> bool:
        """Whether an invocation has registers enough for its part of a block that comes later."""
        return len(self._indices) <= _MANY

    def place(self, group: Number, member: Number) -> Number:
        """Where row `group * self.group + member` begins."""
        return (group + member * (self.count // self.group)) * self.stride

    def fetch(self, rows: Rows, start: Value, last: Value) -> list[Value]:
        """Reads this invocation's part of the rows from `start` on; rows beyond `last` are read as that one."""
        return [self._read_vector(rows, start, last, index) for index in self._indices]

    def bring(self, rows: Rows, start: Value, last: Value) -> None:
        """Reads and writes the rows from `start` on; a vector at a time, if it does not have all in registers."""
        if self.ahead:
            self.put(self.fetch(rows, start, last))
            return
        with self.k.range_(self.k.local_index, self.count * self.vectors, self.k.invocations) as index:
            self._write_vector(index, self._read_vector(rows, start, last, index))

    def _read_vector(self, rows: Rows, start: Value, last: Value, index: Value) -> Value:
        row = rows[self.k.minimum(start + index // self.vectors, last)]
        return self._read(row, index % self.vectors * 4)

    def _read(self, row: Elements, first: Value) -> Value:
        if self.lanes == 4:
            return row.load(first, 4)
        k, parts = self.k, []
        for lane in range(4):
            place = first + lane
            if self.width % 4 == 0:
                parts.append(row.load(place))
            else:
                number = row.load(k.minimum(place, self.width - 1))
                parts.append(k.select(place < self.width, number, 0.0))
        return k.vector(*parts)

    def put(self, values: Sequence[Value | Variable]) -> None:
        """Writes what `fetch` read."""
        for index, one in zip(self._indices, values, strict=True):
            value = one.value if isinstance(one, Variable) else one
            if self.count * self.vectors % self.k.invocations == 0:
                self._write_vector(index, value)
            else:
                with self.k.if_(index < self.count * self.vectors):
                    self._write_vector(index, value)

    def _write_vector(self, index: Value, value: Value) -> None:
        row, column = index // self.vectors, index % self.vectors
        place = (row % self.group * (self.count // self.group) + row // self.group) * self.stride + column
        self.shared[place] = value


class Weights:
    """Products of a block of rows with a block of columns in shared memory, 4 columns in each vector."""

    def __init__(self, k: Kernel, tile: Tile, y: Value, x: Value) -> None:
        self.stride = tile.across | 1
        self.shared = k.shared(vector(f32, 4), tile.rows * self.stride)
        self.places = [(y + i * tile.down) * self.stride for i in range(tile.high)]
        """Where the rows of this invocation begin."""
        self._k, self._x = k, x

    def put(self, rows: Sequence[Sequence[Value]]) -> None:
        for place, row in zip(self.places, rows, strict=True):
            self.shared[place + self._x] = self._k.vector(*row)


def products(k: Kernel, rows: Stage, columns: Stage, y: Value, x: Value) -> list[list[Value]]:
    """Returns the products of this invocation's rows and columns, each a sum from the first number to the last."""
    row_places = [rows.place(y, member) for member in range(rows.group)]
    column_places = [columns.place(x, member) for member in range(4)]
    sums = [[k.variable(0.0, f32) for _ in column_places] for _ in row_places]
    with k.range_(0, rows.vectors) as d:
        left = [k.lanes(rows.shared[place + d]) for place in row_places]
        right = [k.lanes(columns.shared[place + d]) for place in column_places]
        for numbers, line in zip(left, sums, strict=True):
            for others, total in zip(right, line, strict=True):
                sum_ = total.value
                for number, other in zip(numbers, others, strict=True):
                    sum_ = k.fma(number, other, sum_)
                total.value = sum_
    return [[total.value for total in line] for line in sums]


def mix(k: Kernel, weights: Weights, columns: Stage, x: Value, across: int, sums: Sequence[Sequence[Variable]]) -> None:
    """sums[row][v] += sum over columns of weight times vector x + v * across of the column's row of numbers."""
    vectors = [k.minimum(x + across * v, columns.vectors - 1) for v in range(len(sums[0]))]
    with k.range_(0, across) as group:
        factors = [weights.shared[place + group] for place in weights.places]

        def add(member: int | Value) -> None:
            place = columns.place(group, member)
            numbers = [columns.shared[vector_ + place] for vector_ in vectors]
            for row, factor in zip(sums, factors, strict=True):
                spread = k.splat(factor[member], 4)
                for total, others in zip(row, numbers, strict=True):
                    total.value = k.fma(spread, others, total.value)

        if len(vectors) <= _MANY:
            for member in range(4):
                add(member)
        else:
            with k.range_(0, 4) as turn:
                add(turn)


def store(
    target: Elements, sums: Sequence[Variable], factor: Value, x: Value, across: int, width: int, lanes: int
) -> None:
    """Writes a row of results, which invocations have as `mix` leaves them, times a factor."""
    k = target.k
    for v, total in enumerate(sums):
        first, value = (x + across * v) * 4, total.value * factor
        for lane in range(0, 4, lanes):
            with k.if_(first + lane < width):
                target.store(first + lane, value if lanes == 4 else value[lane])


@attrs.frozen
class Scores:
    """From a product of query and key to its score, as an exponent of 2."""

    scale: Value
    cap: Value | None

    @classmethod
    def of(cls, k: Kernel, soft_cap: bool) -> "Scores":
        """Takes the scale of products, and with a cap the factor of tanh, from the kernel's next arguments."""
        return cls(k.number(), k.number() if soft_cap else None)

    def score(self, k: Kernel, product: Value) -> tuple[Value, Value | None]:
        """Returns the score, and with a cap the slope of that."""
        scaled = product * self.scale
        if self.cap is None:
            return scaled, None
        bounded = tanh(k, scaled)
        return bounded * self.cap, k.fma(-bounded, bounded, 1.0)

    def gradient(
        self,
        k: Kernel,
        product: Value,
        dweight: Value,
        of_query: tuple[Value, Value],
        mask: Value | None,
        visible: Value,
    ) -> tuple[Value, Value]:
        """Returns dS from a product and the gradient of what its weight was after dropout, and that.

        `of_query` is log_sum_exp as an exponent of 2 and the sum over the row; both results are 0 if not `visible`.
        """
        log_sum_exp, along = of_query
        score, slope = self.score(k, product)
        weight = kept = power(k, score - log_sum_exp)
        if mask is not None:
            kept, dweight = weight * mask, dweight * mask
        dscore = weight * (dweight - along)
        if slope is not None:
            dscore = dscore * slope
        return k.select(visible, dscore, 0.0), k.select(visible, kept, 0.0)


@attrs.frozen
class Dropout:
    """Which weights stay. Element (h, i, j) of row b has the number (h * Tq + i) * Tk + j."""

    sequence: Value
    step: Value
    stream: Value
    key: tuple[Value, Value]
    threshold: Value
    scale: Value
    whole: bool
    """Whether rows have a multiple of 4 numbers."""

    @classmethod
    def of(
        cls, k: Kernel, whole: bool, sequences: Pointer | None, step: Pointer | None, batch: Value
    ) -> "Dropout | None":
        """Takes the stream, the lower and upper half of the seed, the threshold and the scale from the kernel's next
        arguments; None without a stream. `batch` is the sequence that is worked on."""
        if sequences is None or step is None:
            return None
        stream, key, threshold, scale = k.integer(), (k.integer(), k.integer()), k.integer(), k.number()
        return cls(sequences[batch], step[0], stream, key, threshold, scale, whole)

    def masks(self, k: Kernel, number: Value, count: int) -> list[Value]:
        """Returns 0 or the scale for `count` neighbours from a `number` (i64); 1, 2 or 4, which divides where it stands
        in its row."""
        return [self.mask(k, word) for word in self._words_from(k, number, count)]

    def bits(self, k: Kernel, number: Value, count: int) -> Value:
        """Returns the same in bits of an i32, the lowest one first: 0 or 1 for `count` neighbours, up to 32."""
        total = k.constant(i32, 0)
        for first in range(0, count, 4):
            for lane, word in enumerate(self._words_from(k, number + first, 4)):
                total = total | k.select(k.below(word, self.threshold), 0, k.constant(i32, 1) << (first + lane))
        return total

    def _words_from(self, k: Kernel, number: Value, count: int) -> list[Value]:
        block, phase = k.convert(number >> 2, i32), k.convert(number & 3, i32)
        words = [*self.words(k, block)]
        if not self.whole and count > 1:
            words += self.words(k, block + 1)
        found = []
        for lane in range(count):
            chosen = words[lane]
            for shift in range(1, 4) if count < 4 or not self.whole else ():
                if lane + shift < len(words):
                    chosen = k.select(phase == shift, words[lane + shift], chosen)
            found.append(chosen)
        return found

    def mask(self, k: Kernel, word: Value) -> Value:
        """Returns 0 or the scale."""
        return k.select(k.below(word, self.threshold), 0.0, self.scale)

    def words(self, k: Kernel, block: Value) -> Sequence[Value]:
        """Returns the words of 4 neighbours, of which there are `block` times 4 before."""
        return philox4x32(k, (block, self.sequence, self.step, self.stream), self.key)


def power(k: Kernel, x: Value) -> Value:
    """2^x with the device's function, and 0 below 2^-126; NaN stays NaN."""
    return k.select(is_nan(k, x), x, k.select(x < _LEAST_POWER, 0.0, k.exp2(x)))


def _stage_stride(width: int) -> int:
    return -(-width // 4) | 1
