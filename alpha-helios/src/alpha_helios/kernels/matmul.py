"""Matrix products in blocks through shared memory, and the sum of their parts."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.block import Block
from alpha_helios.kernels.finish import Finish, Output
from alpha_helios.kernels.tile import TILES, Feed, Side, Tile
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Variable
from alpha_helios.spirv.types import f32, i32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["add_parts", "gemm"]


def gemm(
    k: Kernel,
    *,
    tile: str,
    left: Side,
    right: Side,
    finish: Finish,
    lanes: int,
    ragged: bool,
    parts: bool,
    unrolled: bool,
) -> None:
    """out[b, m, n] = sum_k a[b, m, k] b[b, k, n], finished as `finish` says. Sums go from the first step to the last.

    Arguments and grid: as `Block` says; a workgroup stores `lanes` neighbours at once (1 or 4).

    With `parts` the K steps are shared out, and out is (parts, b, M, N). With `ragged` a sum may end within a block.
    With `unrolled` the code has all steps of a block, else 4 of them in a loop.
    """
    shape = TILES[tile]
    block = Block(k, shape.rows, shape.columns, left, right, finish, parts=parts)
    (a_stride, b_stride), stop = block.strides, block.stop
    feeds = (
        Feed(k, block.a, left, shape, shape.rows, block.row, block.rows, a_stride, stop, ragged=ragged),
        Feed(k, block.b, right, shape, shape.columns, block.column, block.columns, b_stride, stop, ragged=ragged),
    )
    y, x = _position(k, shape)
    sums = _sums(k, shape, feeds, block.strides, y, x, block.start, stop, unrolled=unrolled)
    first = (block.row + y * 4, block.column + x * 4)
    _store(k, shape, block.output, sums, block.above, first, (block.rows, block.columns), lanes)


def _position(k: Kernel, shape: Tile) -> tuple[Value, Value]:
    """Which group of 4 rows and of 4 columns an invocation begins with.

    32 neighbours form a block of 4 by 8, so that what they read of the two operands at once is little.
    """
    block, lane = k.local_index >> 5, k.local_index & 31
    return block // (shape.across // 8) * 4 + (lane >> 3), block % (shape.across // 8) * 8 + (lane & 7)


def _sums(
    k: Kernel,
    shape: Tile,
    feeds: tuple[Feed, Feed],
    strides: tuple[Value, Value],
    y: Value,
    x: Value,
    start: Value,
    stop: Value,
    *,
    unrolled: bool,
) -> list[list[Variable]]:
    """The sums of an invocation: for each of its rows, groups of 4 columns."""
    four = vector(f32, 4)
    sums = [[k.variable(0.0, four) for _ in range(shape.wide // 4)] for _ in range(shape.high)]
    begin = k.convert(start, i64)
    walked = [
        k.variable(begin if feed.along_inner else begin * stride) for feed, stride in zip(feeds, strides, strict=True)
    ]
    held = [[k.variable(0.0, four) for _ in range(feed.groups)] for feed in feeds]
    current = k.variable(0, i32)

    def fetch(base: Value) -> None:
        for feed, place, values in zip(feeds, walked, held, strict=True):
            for variable, value in zip(values, feed.fetch(base, place.value), strict=True):
                variable.value = value
            place.value = place.value + feed.advance

    def put() -> None:
        for feed, values in zip(feeds, held, strict=True):
            feed.put(values, current.value * feed.block)

    with k.if_(start < stop):
        fetch(start)
        put()
    k.barrier()
    with k.range_(start, stop, shape.depth) as step:
        following = step + shape.depth
        with k.if_(following < stop):
            fetch(following)
        _multiply(k, shape, feeds, current.value, (y, x), sums, unrolled=unrolled)
        current.value = 1 - current.value
        with k.if_(following < stop):
            put()
        k.barrier()
    return sums


def _multiply(
    k: Kernel,
    shape: Tile,
    feeds: tuple[Feed, Feed],
    current: Value,
    position: tuple[Value, Value],
    sums: list[list[Variable]],
    *,
    unrolled: bool,
) -> None:
    """Adds the products of the current one of two blocks, step by step."""

    def add(four: Value | int, totals: list[list[Value]]) -> list[list[Value]]:
        reads = [
            feed.reader(current * feed.block, four, place, apart)
            for feed, place, apart in zip(feeds, position, (shape.down, shape.across), strict=True)
        ]
        for step in range(4):
            left, right = (read(step) for read in reads)
            factors = [k.splat(left[line // 4][line % 4], 4) for line in range(shape.high)]
            totals = [
                [k.fma(factor, other, total) for other, total in zip(right, line, strict=True)]
                for factor, line in zip(factors, totals, strict=True)
            ]
        return totals

    def keep(totals: list[list[Value]]) -> None:
        for variables, results in zip(sums, totals, strict=True):
            for variable, value in zip(variables, results, strict=True):
                variable.value = value

    if unrolled:
        totals = [[one.value for one in line] for line in sums]
        for four in range(shape.depth // 4):
            totals = add(four, totals)
        keep(totals)
    else:
        with k.range_(0, shape.depth // 4) as index:
            keep(add(index, [[one.value for one in line] for line in sums]))


def _store(
    k: Kernel,
    shape: Tile,
    output: Output,
    sums: list[list[Variable]],
    matrix: Value,
    place: tuple[Value, Value],
    limits: tuple[Value, Value],
    lanes: int,
) -> None:
    """Finishes what of an invocation's sums, which begin at a `place`, lies within the result."""
    (row, column), (rows, columns) = place, limits
    for line, values in enumerate(sums):
        here = row + (line // 4 * shape.down * 4 + line % 4)
        with k.if_(here < rows):
            begin = (matrix + k.convert(here, i64)) * k.convert(columns, i64)
            for group, one in enumerate(values):
                for lane in range(0, 4, lanes):
                    there = column + (group * shape.across * 4 + lane)
                    with k.if_(there < columns):
                        value = one.value if lanes == 4 else one.value[lane]
                        output.store(value, begin + k.convert(there, i64), there)


def add_parts(k: Kernel, *, finish: Finish, lanes: int) -> None:
    """Adds the parts of sums, from the first to the last, and finishes them.

    Arguments: out, what `Output` takes, parts (P, ..., N) f32, what `Output` reads; the elements of out and N (i64), P.
    Grid: an invocation for each `lanes` neighbours.
    """
    output = Output(k, finish)
    parts = k.pointer(readonly=True)
    output.take_reads()
    size, columns, count = k.long(), k.long(), k.integer()
    index = (k.convert(linear_group(k), i64) * k.invocations + k.convert(k.local_index, i64)) * lanes
    with k.if_(index < size):
        total = k.variable(parts.load(index, lanes if lanes > 1 else 0))
        with k.range_(1, count) as part:
            total.value = total.value + parts.load(k.convert(part, i64) * size + index, lanes if lanes > 1 else 0)
        output.store(total.value, index, k.convert(index % columns, i32))
