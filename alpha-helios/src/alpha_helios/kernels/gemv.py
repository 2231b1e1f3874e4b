"""Products of a few rows with a large matrix, which is read once, in the order in which it stands in memory."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import Elements, elements, rounded
from alpha_helios.kernels.finish import Finish, Output
from alpha_helios.kernels.teams import Team
from alpha_helios.kernels.tile import Side
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["MOST_ROWS", "gemv", "widths"]

MOST_ROWS = 16
"""Of x. Each is read from the cache for a few rows of the matrix, which with more takes longer than reading those."""
_AT_ONCE = 8
"""Sums that a team combines at once, which bounds the shared memory that it may need."""


def widths(stored: str) -> tuple[int, ...]:
    """Returns how many elements of a matrix may be read at once, the most first: those of 16 bytes, 4, or 1."""
    return {"i8": (16, 4, 1), "bf16": (8, 4, 1)}.get(stored, (4, 1))


def gemv(k: Kernel, *, rows: int, streams: int, team: int, left: Side, right: Side, finish: Finish) -> None:
    """out[m, n] = sum_k x[m, k] w[n, k] for up to `rows` rows m, finished as `finish` says.

    Arguments: out, what `Output` takes, x, w, what `Output` reads; M, N, K (i32), the strides of the rows of x and of w
    (i64). Grid: a team for each `streams` rows of w, which it reads side by side, `right.lanes` elements at once.
    """
    output = Output(k, finish)
    x, matrix = (elements(k, side.stored, readonly=True) for side in (left, right))
    output.take_reads()
    height, count, length = (k.integer() for _ in range(3))
    x_stride, stride = k.long(), k.long()
    crew, width = Team(k, team), right.lanes
    first = (linear_group(k) * crew.count + crew.index) * streams
    inputs = [x + k.convert(k.minimum(height - 1, row), i64) * x_stride for row in range(rows)]
    sources = [matrix + k.convert(k.minimum(count - 1, first + s), i64) * stride for s in range(streams)]
    sums = [[k.variable(0.0, f32) for _ in sources] for _ in inputs]
    with crew.along(length, width) as position:
        weights = [_loaded(k, source, position, right) for source in sources]
        for line, place in zip(sums, inputs, strict=True):
            values = [value for start in range(0, width, 4) for value in _loaded(k, place + start, position, left)]
            for total, factors in zip(line, weights, strict=True):
                result = total.value
                for value, factor in zip(values, factors, strict=True):
                    result = k.fma(value, factor, result)
                total.value = result
    parts = [total.value for line in sums for total in line]
    totals = [one for start in range(0, len(parts), _AT_ONCE) for one in crew.sum(*parts[start : start + _AT_ONCE])]
    for start in range(0, len(totals), team):
        chosen = totals[start]
        for lane, one in enumerate(totals[start : start + team]):
            chosen = k.select(k.compare("eq", crew.lane, lane), one, chosen)
        index = crew.lane + start
        row, column = index // streams, first + index % streams
        with k.if_((index < len(totals)) & (row < height) & (column < count)):
            output.store(chosen, k.convert(row, i64) * k.convert(count, i64) + k.convert(column, i64), column)


def _loaded(k: Kernel, source: Elements, position: Value, side: Side) -> list[Value]:
    """The elements from a position on that are read at once, as f32."""
    if side.lanes > 4:
        words = k.lanes((source + position).place.cast(i32).load(0, 4))
        found = [value for word in words for value in (_bytes(k, word) if side.stored == "i8" else _halves(k, word))]
    else:
        values = source.load(position, side.lanes)
        found = k.lanes(values if values.type.is_float else k.convert(values, f32))
    return found if side.rounded == side.stored else [rounded(k, value, side.rounded) for value in found]


def _bytes(k: Kernel, word: Value) -> list[Value]:
    return [k.convert(k.field(word, 8 * place, 8, signed=True), f32) for place in range(4)]


def _halves(k: Kernel, word: Value) -> list[Value]:
    """The two bf16 of a word."""
    return [k.bitcast(word << 16, f32), k.bitcast(word & -65536, f32)]
