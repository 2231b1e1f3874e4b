"""What the attention kernels are made of.

They work on the transposed scores of a tile of queries: one row for each key, one lane for each query. So keys and
values are read in place, one number at a time for all lanes, and a softmax needs nothing across lanes.
"""

from collections.abc import Callable, Sequence

import attrs

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.philox import philox4x32
from alpha_tensor.cpu.kernels.rows import sweep
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import Type, f32, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

__all__ = ["LARGEST_WIDTH", "Dropout", "Heads", "Rows", "Tile", "exp2", "rank_update", "transposed"]

LARGEST_WIDTH = 256
"""Of a head; a tile of wider ones would not fit in the scratch on the stack."""

# Added and subtracted, it rounds to a whole number, which then also stands in the low bits.
_ROUNDING = 1.5 * 2.0**23
# (2^x - 1) / x for |x| <= 1/2 within 5e-9, interpolated at Chebyshev nodes, the highest power first.
_EXP2 = (1.5461447463e-4, 1.3390867351e-3, 9.6180566699e-3, 5.5503571043e-2, 2.4022650922e-1, 6.9314718803e-1)


@attrs.frozen
class Rows:
    """A matrix in memory whose rows are contiguous."""

    first: Pointer
    stride: Number

    def __getitem__(self, index: Number) -> Pointer:
        return self.first + index * self.stride

    def after(self, index: Number) -> "Rows":
        """Returns the rows from `index`."""
        return Rows(self[index], self.stride)


@attrs.frozen
class Heads:
    """A tensor (B, H, T, D) with any strides but that of D, which is 1."""

    first: Pointer
    batch_stride: Value
    head_stride: Value
    row_stride: Value

    @classmethod
    def of(cls, k: Kernel, first: Pointer) -> "Heads":
        """Takes the strides from the kernel's next arguments."""
        return cls(first, k.integer(), k.integer(), k.integer())

    def rows(self, batch: Value, head: Value) -> Rows:
        return Rows(self.first + (batch * self.batch_stride + head * self.head_stride), self.row_stride)


@attrs.frozen
class Tile:
    """How many queries and keys are worked on at once. Results depend on it."""

    lanes: int
    vectors: int = 2
    """Registers of queries side by side."""
    keys: int = 64
    """Keys in one block: with their values, they stay in the first cache for a tile of queries."""

    @property
    def group(self) -> int:
        """Numbers spread over lanes for one step of a product: `group * vectors` sums fit in the registers."""
        return 8 if self.lanes == 16 else 4

    @property
    def queries(self) -> int:
        return self.lanes * self.vectors

    def scratch(self, k: Kernel, rows: int, element: Type = f32) -> Rows:
        """Reserves `rows` rows, one lane for each query."""
        return Rows(k.stack(element, rows * self.queries), self.queries)

    def load(self, source: Pointer) -> list[Value]:
        """Loads a number for each query."""
        return [source.load(v * self.lanes, self.lanes) for v in range(self.vectors)]

    def store(self, target: Pointer, values: Sequence[Value]) -> None:
        for v, value in enumerate(values):
            target.store(v * self.lanes, value)

    def fill(self, f: Function, target: Rows, rows: Number, value: float) -> None:
        with f.range_(0, rows) as row:
            self.store(target[row], [f.constant(vector(f32, self.lanes), value)] * self.vectors)

    def visible(self, f: Function, last_key: Value, key: Value) -> list[Value]:
        """Returns which queries see `key`; `last_key` is the last one that the tile's first query sees."""
        offset = f.splat(f.convert(key - last_key, i32), self.lanes)
        return [f.iota(i32, self.lanes) + v * self.lanes >= offset for v in range(self.vectors)]

    def products(
        self, f: Function, left: Rows, first: Value, last: Value, width: Value, right: Rows
    ) -> list[list[Value]]:
        """Returns products of the rows `first`, `first + 1`, ... of `left`, a group of them, with columns of `right`.

        Beyond row `last` it stands in for the missing ones.
        """
        rows = [left[f.minimum(first + r, last)] for r in range(self.group)]
        return rank_update(
            f,
            (0, width),
            lambda d: [row[d] for row in rows],
            lambda d: self.load(right[d]),
            [[f.constant(vector(f32, self.lanes), 0.0)] * self.vectors for _ in rows],
        )

    def mix(
        self,
        f: Function,
        weights: Rows,
        rows: Rows,
        count: Value,
        width: Value,
        target: Rows,
        factors: Sequence[Number],
    ) -> None:
        """target = target * factors + rows^T weights, over the first `count` rows. Numbers of a row become rows."""

        def columns(first: Value, size: int) -> None:
            initial = [
                [old * factor for old, factor in zip(self.load(target[first + d]), factors, strict=True)]
                for d in range(size)
            ]
            sums = rank_update(
                f,
                (0, count),
                lambda j: [(rows[j] + first)[d] for d in range(size)],
                lambda j: self.load(weights[j]),
                initial,
            )
            for d, values in enumerate(sums):
                self.store(target[first + d], values)

        whole = width // self.group * self.group
        with f.range_(0, whole, self.group) as first:
            columns(first, self.group)
        with f.range_(whole, width) as first:
            columns(first, 1)

    def pack(self, k: Kernel, source: Rows, count: Value, width: Value, target: Rows, scale: Value) -> None:
        """target[d, i] = source[i, d] * scale for a tile of rows, of which `count` exist; the last is repeated."""
        lanes = self.lanes
        with k.range_(0, self.queries, lanes) as first:
            rows = [source[k.minimum(first + i, count - 1)] for i in range(lanes)]

            def turn(d: Value, mask: Value | None, slot: int) -> None:
                for place, column in enumerate(transposed(k, [row.load(d, lanes, mask) * scale for row in rows])):
                    target[d + place].store(first, column)

            sweep(k, 0, width, turn)

    def unpack(self, k: Kernel, source: Rows, factors: Pointer, count: Value, width: Value, target: Rows) -> None:
        """target[i, d] = source[d, i] * factors[i] for the first `count` rows of a tile."""
        lanes = self.lanes
        with k.range_(0, count, lanes) as first:
            factor = factors.load(first, lanes)

            def turn(d: Value, mask: Value | None, slot: int) -> None:
                block = [source[d + place].load(first, lanes) * factor for place in range(lanes)]
                for i, row in enumerate(transposed(k, block)):
                    with k.if_(first + i < count):
                        target[first + i].store(d, row, mask)

            sweep(k, 0, width, turn)


@attrs.frozen
class Dropout:
    """Which weights of attention stay. Element (h, i, j) of row b has the number (h * Tq + i) * Tk + j."""

    rows: Pointer
    step: Value
    threshold: Value
    scale: Value
    stream: Value
    key: tuple[Value, Value]

    @classmethod
    def of(cls, k: Kernel, step: Pointer, rows: Pointer) -> "Dropout":
        """Takes the threshold, the scale of what stays, the stream and the seed from the kernel's next arguments."""
        threshold = k.convert(k.integer(), i32)
        scale = k.number()
        stream, low, high = (k.convert(k.integer(), i32) for _ in range(3))
        return cls(rows, step[0], threshold, scale, stream, (low, high))

    def fill(
        self, f: Function, tile: Tile, target: Rows, batch: Value, row: Value, keys: Value, first: Value, count: Value
    ) -> None:
        """target[j, i] = 0 or the scale, for `count` keys from `first`, a multiple of 4; `row` counts h * Tq + i."""
        lanes = tile.lanes
        sequence, step, stream = (f.splat(word, lanes) for word in (self.rows[batch], self.step, self.stream))
        with f.range_(0, tile.queries, lanes) as lane:
            element = (f.iota(i64, lanes) + (row + lane)) * keys
            # A row may start inside of a block of 4 words, at another place in each lane.
            phase = f.convert(element & 3, i32)
            block = f.convert((element >> 2) + (first >> 2), i32)
            words = [f.variable(word) for word in philox4x32(f, block, sequence, step, stream, *self.key)]
            with f.range_(0, count, 4) as j:
                next_block = block + f.convert((j >> 2) + 1, i32)
                following = philox4x32(f, next_block, sequence, step, stream, *self.key)
                both = [*(word.value for word in words), *following]
                for r in range(4):
                    chosen = both[r]
                    for shift in range(1, 4):
                        chosen = f.select(phase == shift, both[r + shift], chosen)
                    kept = f.select(f.below(chosen, self.threshold), 0.0, f.splat(self.scale, lanes))
                    target[j + r].store(lane, kept)
                for word, value in zip(words, following, strict=True):
                    word.value = value


def rank_update(
    f: Function,
    bounds: tuple[Number, Number],
    left: Callable[[Value], Sequence[Value]],
    right: Callable[[Value], Sequence[Value]],
    initial: Sequence[Sequence[Value]],
) -> list[list[Value]]:
    """Returns initial[r][v] + sum over i of left(i)[r] * right(i)[v], added in order, with all sums in registers.

    `left` gives scalars and `right` vectors.
    """
    sums = [[f.variable(value) for value in row] for row in initial]
    with f.range_(*bounds) as index:
        vectors = right(index)
        for row, number in zip(sums, left(index), strict=True):
            spread = f.splat(number, vectors[0].type.lanes)
            for variable, values in zip(row, vectors, strict=True):
                variable.value = f.fma(spread, values, variable.value)
    return [[variable.value for variable in row] for row in sums]


def transposed(f: Function, rows: Sequence[Value]) -> list[Value]:
    """Transposes a square of as many vectors as they have lanes, exchanging halves, quarters, ..."""
    lanes, result = len(rows), list(rows)
    distance = lanes // 2
    while distance:
        for i in range(lanes):
            if not i & distance:
                a, b = result[i], result[i + distance]
                low = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
                high = [lane + distance if not lane & distance else lanes + lane for lane in range(lanes)]
                result[i], result[i + distance] = f.shuffle(a, b, low), f.shuffle(a, b, high)
        distance //= 2
    return result


def exp2(f: Function, x: Value) -> Value:
    """2^x for x below 128, within 2 units in the last place; 0 below -126.5, NaN of NaN.

    Shorter than `exp` by its limits: the scores of a softmax are at most the largest one.
    """
    x = f.select(x < -127.0, -127.0, x)
    rounded = x + _ROUNDING
    fraction = x - (rounded - _ROUNDING)
    bits = vector(i32, x.type.lanes)
    scale = f.bitcast((f.bitcast(rounded, bits) + 127) << 23, x.type)
    power: Number = _EXP2[0]
    for coefficient in (*_EXP2[1:], 1.0):
        power = f.fma(power, fraction, coefficient)
    return scale * power
