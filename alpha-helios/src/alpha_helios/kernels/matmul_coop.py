"""Matrix products by cooperative matrices, whose operands pass through shared memory in 16 bits."""

from collections.abc import Sequence

import attrs

from alpha_helios.kernels.block import Block
from alpha_helios.kernels.coop_tile import COOP_TILES, WORDS, CoopTile, Stage
from alpha_helios.kernels.finish import Finish
from alpha_helios.kernels.matmul_coop2 import store_elements
from alpha_helios.kernels.tile import Side
from alpha_helios.spirv.cooperative import MatrixVariable
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Indexed
from alpha_helios.spirv.types import Type, bf16, f16, f32, i32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["Fragment", "gemm_coop"]


Sums = list[list[MatrixVariable]]


@attrs.frozen
class Fragment:
    """A product of matrices that a device computes: m x k by k x n. Part of a kernel's identity."""

    m: int
    n: int
    k: int

    def __str__(self) -> str:
        return f"{self.m}x{self.n}x{self.k}"


def gemm_coop(
    k: Kernel,
    *,
    tile: str,
    fragment: Fragment,
    left: Side,
    right: Side,
    finish: Finish,
    lanes: int,
    ragged: bool,
    parts: bool,
    by_element: bool,
    turned: bool,
) -> None:
    """out[b, m, n] = sum_k a[b, m, k] b[b, k, n], finished as `finish` says; operands rounded to f16 or bf16.

    Arguments and grid: as `Block` says. Sums are stored in rows, `lanes` neighbours at once (1 or 4), or `by_element`,
    from where they are. With `turned` blocks of both operands lie along the sum in shared memory.

    With `parts` the K steps are shared out, and out is (parts, b, M, N). With `ragged` a sum may end within a block.
    """
    shape = COOP_TILES[tile]
    block = Block(k, shape.rows, shape.columns, left, right, finish, parts=parts)
    (a_stride, b_stride), stop, depth = block.strides, block.stop, shape.depth
    how = {"ragged": ragged, "turned": turned}
    first, lines = block.column, block.columns
    stages = (
        Stage(k, block.a, left, depth, shape.rows, block.row, block.rows, a_stride, stop, last=False, **how),
        Stage(k, block.b, right, depth, shape.columns, first, lines, b_stride, stop, last=True, **how),
    )
    along = ("inner", "inner") if turned else (left.along, right.along)
    pool = k.shared(WORDS, shape.shared_bytes(along, fragment.m) // 16)
    row, column = k.subgroup_id // shape.across * shape.high, k.subgroup_id % shape.across * shape.wide
    factor = {"f16": f16, "bf16": bf16}[left.rounded]
    sums = _sums(k, shape, fragment, factor, stages, pool, (row, column), block)
    row, column = block.row + row, block.column + column
    if by_element:
        for y, strip in enumerate(sums):
            for x, one in enumerate(strip):
                store_elements(k, block, one.value, row + y * fragment.m, column + x * fragment.n)
    else:
        _store_rows(k, shape, fragment, block, sums, pool, row, column, lanes)


def _sums(
    k: Kernel,
    shape: CoopTile,
    fragment: Fragment,
    factor: Type,
    stages: tuple[Stage, Stage],
    pool: Indexed,
    first: tuple[Value, Value],
    block: Block,
) -> Sums:
    """The sums of the subgroup whose part of the block begins at the row and column `first`.

    While a block is multiplied, the next one is on its way from memory to registers, and then to the other buffer.
    """
    total = k.coop_matrix(f32, fragment.m, fragment.n, "accumulator")
    high, wide = shape.high // fragment.m, shape.wide // fragment.n
    sums = [[k.coop_variable(k.coop_fill(total, 0)) for _ in range(wide)] for _ in range(high)]
    begin = k.convert(block.start, i64)
    walked = [
        k.variable(begin if stage.along_inner else begin * stride)
        for stage, stride in zip(stages, block.strides, strict=True)
    ]
    held = [[k.variable(0, WORDS) for _ in range(stage.groups)] for stage in stages]
    offsets = (0, stages[0].size)
    current = k.variable(0, i32)
    """Where the buffer begins that is read."""
    apart = sum(stage.size for stage in stages)

    def fetch(base: Value) -> None:
        for stage, place, values in zip(stages, walked, held, strict=True):
            stage.fetch(base, place.value, values)
            place.value = place.value + stage.advance

    def put() -> None:
        for stage, values, offset in zip(stages, held, offsets, strict=True):
            stage.put(pool, values, current.value + offset)

    with k.if_(block.start < block.stop):
        fetch(block.start)
        put()
    k.barrier()
    with k.range_(block.start, block.stop, shape.depth) as step:
        following = step + shape.depth
        with k.if_(following < block.stop):
            fetch(following)
        starts = [
            current.value + offset + stage.at(line) for stage, offset, line in zip(stages, offsets, first, strict=True)
        ]
        _multiply(k, shape.depth, fragment, factor, stages, pool, starts, sums)
        current.value = apart - current.value
        with k.if_(following < block.stop):
            put()
        k.barrier()
    return sums


def _multiply(
    k: Kernel,
    depth: int,
    fragment: Fragment,
    factor: Type,
    stages: tuple[Stage, Stage],
    pool: Indexed,
    starts: Sequence[Value],
    sums: Sums,
) -> None:
    """Adds the products of a block."""
    left = k.coop_matrix(factor, fragment.m, fragment.k, "a")
    right = k.coop_matrix(factor, fragment.k, fragment.n, "b")
    totals = [[one.value for one in line] for line in sums]
    for step in range(0, depth, fragment.k):
        column = [stages[0].matrix(pool, left, starts[0], line * fragment.m, step) for line in range(len(totals))]
        for place in range(len(totals[0])):
            other = stages[1].matrix(pool, right, starts[1], place * fragment.n, step)
            for line, one in zip(totals, column, strict=True):
                line[place] = k.coop_muladd(one, other, line[place])
    for variables, results in zip(sums, totals, strict=True):
        for variable, value in zip(variables, results, strict=True):
            variable.value = value


def _store_rows(
    k: Kernel,
    shape: CoopTile,
    fragment: Fragment,
    block: Block,
    sums: Sums,
    pool: Indexed,
    row: Value,
    column: Value,
    lanes: int,
) -> None:
    """Finishes what of a subgroup's sums lies within the result: strip by strip, through its part of shared memory.

    Which sums an invocation has is known to the device alone; in shared memory they lie as rows, so that neighbours
    are stored by neighbouring invocations.
    """
    assert k.required_subgroup is not None
    four, across = vector(f32, 4), shape.wide // 4
    begin, pitch = k.subgroup_id * shape.strip(fragment.m), across + 1
    for number, strip in enumerate(sums):
        for place, one in enumerate(strip):
            k.coop_store(pool, begin + place * fragment.n // 4, one.value, stride=4 * pitch)
        k.subgroup_barrier()
        with k.range_(k.subgroup_lane, fragment.m * across, k.required_subgroup) as index:
            y, x = index // across, index % across
            here = row + number * fragment.m + y
            with k.if_(here < block.rows):
                values = k.bitcast(pool[begin + y * pitch + x], four)
                start = (block.above + k.convert(here, i64)) * k.convert(block.columns, i64)
                for lane in range(0, 4, lanes):
                    there = column + x * 4 + lane
                    with k.if_(there < block.columns):
                        value = values if lanes == 4 else values[lane]
                        block.output.store(value, start + k.convert(there, i64), there)
        k.subgroup_barrier()
