"""Products of a few rows with a large matrix, which is read once, in the order in which it stands in memory."""

from typing import TYPE_CHECKING

from alpha_tensor.cpu.kernels.finish import Finish, Output
from alpha_tensor.cpu.kernels.stored import STORED, load_f32
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import bf16, f32, i16, i32, vector
from alpha_tensor.cpu.llvm.value import Value

if TYPE_CHECKING:
    from alpha_tensor.cpu.kernel import Kernel
    from alpha_tensor.cpu.target import Target

__all__ = ["gemv", "most_rows", "rows_at_once"]

_MOST_AT_ONCE = 8
"""Rows of x whose sums fit the registers."""
_MOST_ROWS = 32
"""Beyond them it pays to pack the matrix and multiply by blocks (on Zen 3, at the sizes of GPT-2: 16 rows take half of
that, 64 the same)."""
_MOST_STREAMS = 4
"""Places of the matrix, far from each other, that are read side by side, each row after row. Processors fetch ahead of
a few long streams, faster than of one; rows below each other would end before they see the pattern. On Zen 3 bf16 comes
at 20 GB/s so, at 17 as one stream, at 14 as four neighbouring rows."""


def most_rows(target: "Target", rounded: bool) -> int:
    """Returns up to how many rows of x `gemv` is the fastest way; units for tiles and bf16 take packed operands."""
    return _MOST_AT_ONCE if target.has_tiles or rounded else _MOST_ROWS


def rows_at_once(rows: int) -> int:
    """Returns the parameter of `gemv` for so many rows."""
    return min(1 << (rows - 1).bit_length(), _MOST_AT_ONCE)


def gemv(
    k: "Kernel", rows: int, finish: Finish, element: str = "f32", scaled: bool = False, rounded: bool = False
) -> None:
    """out[m, n] = scale[n] * sum_k x[m, k] weight[n, k], for `rows` rows m at a time; finished as `finish` says.

    Arguments: out, what `Output` takes, x, weight, scale (if `scaled`), rows of x, rows of the weight, length, and the
    strides of the rows of x and of the weight. With `rounded` both operands are rounded to bf16.
    """
    output = Output(k, finish)
    x, weight = k.pointer(), k.pointer(STORED[element])
    scale = k.pointer() if scaled else x
    output.take_reads()
    height, count, length, x_stride, weight_stride = (k.integer() for _ in range(5))
    lanes = k.target.lanes
    streams = range(max(1, min(_MOST_STREAMS, lanes // rows)))  # so that the sums stay in registers
    kept = k.stack(f32, rows * len(streams) * lanes * lanes)
    whole = length // lanes * lanes
    tail = k.lane_mask(length - whole, lanes)

    def place(row: int, stream: int) -> int:
        return (row * len(streams) + stream) * lanes * lanes

    with k.share(count, max(lanes, 16)) as (start, stop):
        blocks = (stop - start + (lanes - 1)) // lanes
        each = (blocks + (len(streams) - 1)) // len(streams)
        # What one block of rows has read of the matrix is in a cache for the next one.
        with k.range_(0, each) as number, k.range_(0, height, rows) as first:
            x_rows = [x + k.minimum(height - 1, first + row) * x_stride for row in range(rows)]
            # Where blocks do not divide into streams, the last one is read again, and what it gives is dropped.
            numbers = [number + each * stream for stream in streams]
            columns = [start + k.minimum(block, blocks - 1) * lanes for block in numbers]
            with k.range_(0, lanes) as line:
                sources = [weight + k.minimum(column + line, count - 1) * weight_stride for column in columns]
                sums = [[k.variable(0.0, vector(f32, lanes)) for _ in streams] for _ in range(rows)]

                def add(position: Value, mask: Value | None) -> None:
                    weights = [load_f32(k, source, position, element, mask) for source in sources]
                    if rounded and element == "f32":
                        weights = [_rounded(k, one) for one in weights]
                    for row in range(rows):
                        values = x_rows[row].load(position, lanes, mask)
                        if rounded:
                            values = _rounded(k, values)
                        for total, weight_values in zip(sums[row], weights, strict=True):
                            total.value = k.fma(values, weight_values, total.value)

                with k.range_(0, whole, lanes) as position:
                    add(position, None)
                with k.if_(whole < length):
                    add(whole, tail)
                for row in range(rows):
                    for stream, total in enumerate(sums[row]):
                        kept.store(line * lanes + place(row, stream), total.value)
            for stream, (block, column) in enumerate(zip(numbers, columns, strict=True)):
                with k.if_(block < blocks):
                    mask = k.lane_mask(count - column, lanes)
                    for row in range(rows):
                        vectors = [kept.load(place(row, stream) + r * lanes, lanes) for r in range(lanes)]
                        result = _lane_sums(k, vectors)
                        if scaled:
                            result = scale.load(column, lanes, mask) * result
                        with k.if_(first + row < height):
                            output.vector(result, count * (first + row) + column, column, mask)


def _rounded(k: Function, x: Value) -> Value:
    """Rounds to bf16, to nearest even."""
    short = k.intrinsic("llvm.x86.avx512bf16.cvtneps2bf16.512", vector(bf16, x.type.lanes), x)
    bits = k.bitcast(short, vector(i16, x.type.lanes))
    return k.bitcast(k.widen_unsigned(bits, i32) << 16, x.type)


def _lane_sums(f: Function, vectors: list[Value]) -> Value:
    """Returns the sum of the lanes of each of as many vectors as a vector has lanes, in a fixed order."""
    lanes = distance = len(vectors)
    while distance > 1:
        distance //= 2
        # Each sum of two vectors keeps the lanes whose index agrees with the vector's in one more bit.
        low = [lane if not lane & distance else lane - distance + lanes for lane in range(lanes)]
        high = [lane + distance if not lane & distance else lane + lanes for lane in range(lanes)]
        vectors = [
            f.shuffle(a, b, low) + f.shuffle(a, b, high)
            for a, b in zip(vectors[:distance], vectors[distance:], strict=True)
        ]
    return vectors[0]
