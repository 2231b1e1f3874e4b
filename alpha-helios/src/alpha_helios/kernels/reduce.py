"""Reductions along rows and along columns, and sums of squares; the order of the additions is fixed."""

from collections.abc import Callable, Sequence

import attrs

from alpha_helios.grid import linear_group
from alpha_helios.kernels import math
from alpha_helios.kernels.access import STORED, Elements, elements
from alpha_helios.kernels.elementwise import unravelled
from alpha_helios.kernels.teams import Operation, Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Indexed, Pointer
from alpha_helios.spirv.types import Type, f32, i32, i64, vector
from alpha_helios.spirv.value import Number, Value

__all__ = [
    "REDUCTIONS",
    "SQUARES_BLOCK",
    "Reduction",
    "gathered",
    "gathered_all",
    "met",
    "reduce_columns",
    "reduce_rows",
    "squares",
    "total",
]

SQUARES_BLOCK = 16384
"""Elements whose squares a workgroup of `squares` adds up."""
_BIG = 2.0**50
"""Of numbers between this and its inverse, 2^27 squares can be added up."""
_SCALE = 2.0**80
_UNDER_WAY = 4  # loads that one invocation waits for at the same time


@attrs.frozen
class Reduction:
    """What is combined: a number of each element, from which the result follows."""

    type: Type
    neutral: float
    operation: Operation
    enter: Callable[[Kernel, Value], Value]
    leave: Callable[[Kernel, Value], Value]

    def combine(self, k: Kernel, a: Value, b: Value) -> Value:
        return {"add": lambda: a + b, "max": lambda: k.maximum(a, b), "min": lambda: k.minimum(a, b)}[self.operation]()


REDUCTIONS = {
    "sum": Reduction(f32, 0.0, "add", lambda k, x: x, lambda k, x: x),
    "max": Reduction(i32, -(2**31), "max", math.order, math.from_order),
    "min": Reduction(i32, 2**31 - 1, "min", math.order, math.from_order),
    "finite": Reduction(
        i32,
        1,
        "min",
        lambda k, x: k.select(math.is_finite(k, x), k.constant(i32, 1), 0),
        lambda k, x: k.convert(x, f32),
    ),
}


def reduce_rows(k: Kernel, *, op: str, stored: str, lanes: int, team: int, accumulate: bool) -> None:
    """out[row, block] = scale * op(x[row, block]), or that added to out; `op` is sum, max, min or finite.

    `stored` is the dtype of x, out is f32. Lengths, strides and places are multiples of `lanes`. Arguments: out, x;
    rows, length and stride of the rows of x, blocks, length of a block, scale. Grid: a team of `team` for each block.
    """
    out, x = k.pointer(), elements(k, stored, readonly=True)
    rows, length, stride, blocks, limit, scale = (
        *(k.integer(), k.integer(), k.long()),
        *(k.integer(), k.integer(), k.number()),
    )
    reduction, members = REDUCTIONS[op], Team(k, team)
    item = linear_group(k) * members.count + members.index
    there = item < rows * blocks
    row, block = unravelled(k.select(there, item, 0), [blocks])
    start = block * limit
    source = x + (k.convert(row, i64) * stride + k.convert(start, i64))
    width = k.minimum(length - start, limit)

    found = gathered(k, reduction, members.lane * lanes, width, team * lanes, lanes, lambda i: source.load(i, lanes))
    (result,) = members.combine(reduction.operation, [k.fold(found, lambda a, b: reduction.combine(k, a, b))])
    with k.if_(there & (members.lane == 0)):
        value = reduction.leave(k, result) * scale
        out[item] = out[item] + value if accumulate else value


def reduce_columns(k: Kernel, *, op: str, stored: str, lanes: int, accumulate: bool) -> None:
    """out[before, block, column] = scale * op of x[before, block, :, column], or that added to out.

    Arguments: out, x; lengths of the three axes of x, strides of the first two, blocks, length of a block, scale. The
    last length, strides and places are multiples of `lanes`. Workgroup: columns (each takes `lanes`) by rows, powers
    of 2. Grid: a workgroup for so many columns, for each block of each `before`.
    """
    out, x = k.pointer(), elements(k, stored, readonly=True)
    before, length, after = k.integer(), k.integer(), k.integer()
    outer, stride, blocks, limit, scale = k.long(), k.long(), k.integer(), k.integer(), k.number()
    reduction, (across, down, _) = REDUCTIONS[op], k.workgroup
    shared = k.shared(vector(reduction.type, lanes), across * down)
    groups = (after + (across * lanes - 1)) // (across * lanes)
    group = linear_group(k)
    with k.if_(group < before * blocks * groups):
        rest, part = unravelled(group, [groups])
        first, block = unravelled(rest, [blocks])
        column = (part * across + k.local(0)) * lanes
        there = column < after
        start = block * limit
        end = k.select(there, k.minimum(start + limit, length), start)
        source = x + (k.convert(first, i64) * outer + k.convert(column, i64))

        def row(index: Value) -> Value:
            return (source + k.convert(index, i64) * stride).load(0, lanes)

        found = met(k, reduction, shared, gathered(k, reduction, start + k.local(1), end, down, lanes, row))
        with k.if_(there & (k.local(1) == 0)):
            target = out + (k.convert(rest, i64) * k.convert(after, i64) + k.convert(column, i64))
            value = reduction.leave(k, found) * scale
            target.store(0, target.load(0, lanes) + value if accumulate else value)


def squares(k: Kernel, *, stored: str, lanes: int, count: int) -> None:
    """partial[:, first + i] = sums of squares of the i-th block of `SQUARES_BLOCK` elements of `count` tensors.

    Numbers that are large, or small, have sums of their own, of what they are after scaling (Blue 1978, "A portable
    Fortran program to find the Euclidean norm of a vector"). Arguments: partial (3, blocks), the tensors; first, blocks
    of all launches, sizes of the tensors. Places are multiples of `lanes`. Grid: a workgroup for each block.
    """
    partial = k.pointer()
    tensors = [elements(k, stored, readonly=True) for _ in range(count)]
    first, planes, sizes = k.integer(), k.integer(), [k.long() for _ in range(count)]
    group = linear_group(k)
    address, size = k.variable(tensors[0].place.address), k.variable(k.constant(i64, 0))
    block, before = k.variable(k.constant(i32, 0)), k.constant(i32, 0)
    for tensor, elements_there in zip(tensors, sizes, strict=True):
        blocks = k.convert((elements_there + (SQUARES_BLOCK - 1)) // SQUARES_BLOCK, i32)
        here = (group >= before) & (group < before + blocks)
        address.value = k.select(here, tensor.place.address, address.value)
        size.value = k.select(here, elements_there, size.value)
        block.value = k.select(here, group - before, block.value)
        before = before + blocks
    start = k.convert(block.value, i64) * SQUARES_BLOCK
    left = k.convert(k.select(size.value - start < SQUARES_BLOCK, size.value - start, SQUARES_BLOCK), i32)
    source = Elements(Pointer(address.value, STORED[stored], readonly=True), stored) + start
    whole = left // lanes * lanes
    reduction, team = REDUCTIONS["sum"], Team(k)

    def parts(index: Value, many: int = lanes) -> list[Value]:
        value = source.load(index, many)
        size = k.absolute(value)
        big, small = size > _BIG, size < 1 / _BIG  # NaN is neither
        scaled = (
            k.select(big, value * (1 / _SCALE), 0.0),
            k.select(big | small, 0.0, value),
            k.select(small, value * _SCALE, 0.0),
        )
        return [part * part for part in scaled]

    vectors = gathered_all(k, reduction, team.lane * lanes, whole, k.invocations * lanes, lanes, parts, 3)
    found = [k.variable(k.horizontal_sum(vector_)) for vector_ in vectors]
    with k.range_(whole + team.lane, left, k.invocations) as index:
        for place, part in zip(found, parts(index, 0), strict=True):
            place.value = place.value + part
    results = team.sum(*(place.value for place in found))
    with k.if_((team.lane == 0) & (group < before)):
        for plane, result in enumerate(results):
            partial[planes * plane + first + group] = result


def total(k: Kernel, *, root: bool) -> None:
    """out = the sum of squares from its parts, or the root of it.

    Arguments: out, the parts (3, count) that `squares` makes; count. Grid: one workgroup.
    """
    out, x, count = k.pointer(), k.pointer(readonly=True), k.integer()
    team = Team(k)

    def parts(index: Value) -> list[Value]:
        return [x[count * plane + index] for plane in range(3)]

    found = gathered_all(k, REDUCTIONS["sum"], team.lane, count, k.invocations, 1, parts, 3)
    big, middle, small = team.sum(*found)
    with k.if_(team.lane == 0):
        # Each part in the scale of the largest; what is too small for it does not matter.
        is_big, is_small = big > 0, (middle == 0) & (small > 0)
        of_middle = k.select(is_big, middle * (1 / _SCALE) * (1 / _SCALE), middle)
        of_small = k.select(is_small, small, small * (1 / _SCALE) * (1 / _SCALE))
        sum_ = k.select(is_big, big + of_middle, of_middle + of_small)
        scale = k.select(is_big, k.constant(f32, _SCALE), k.select(is_small, k.constant(f32, 1 / _SCALE), 1.0))
        out[0] = math.root(k, sum_) * scale if root else sum_ * scale * scale


def met(k: Kernel, reduction: Reduction, shared: Indexed, value: Value) -> Value:
    """Combines the values of all rows of a workgroup, column by column; those of row 0 get the results.

    `shared` has an element for each invocation.
    """
    across, down, _ = k.workgroup
    shared[k.local_index] = value
    step = down // 2
    while step:
        k.barrier()
        with k.if_(k.local(1) < step):
            here = k.local_index
            shared[here] = reduction.combine(k, shared[here], shared[here + step * across])
        step //= 2
    return shared[k.local_index]


def gathered(
    k: Kernel, reduction: Reduction, start: Value, end: Number, step: int, lanes: int, load: Callable[[Value], Value]
) -> Value:
    """Combines what one invocation looks at: start, start + step, ... below `end`, several at a time."""
    return gathered_all(k, reduction, start, end, step, lanes, lambda index: [load(index)], 1)[0]


def gathered_all(
    k: Kernel,
    reduction: Reduction,
    start: Value,
    end: Number,
    step: int,
    lanes: int,
    load: Callable[[Value], Sequence[Value]],
    count: int,
) -> list[Value]:
    """The same for `count` numbers of each place."""
    neutral = k.constant(vector(reduction.type, lanes), reduction.neutral)
    found = [[k.variable(neutral) for _ in range(count)] for _ in range(_UNDER_WAY)]
    index = k.variable(start)

    def add(slots: int) -> None:
        loaded = [[reduction.enter(k, value) for value in load(index.value + step * slot)] for slot in range(slots)]
        for places, values in zip(found, loaded, strict=False):
            for place, value in zip(places, values, strict=True):
                place.value = reduction.combine(k, place.value, value)
        index.value = index.value + step * slots

    with k.while_(lambda: index.value + step * (_UNDER_WAY - 1) < end):
        add(_UNDER_WAY)
    with k.while_(lambda: index.value < end):
        add(1)
    results = []
    for slots in zip(*found, strict=True):
        pairs = [reduction.combine(k, slots[place].value, slots[place + 1].value) for place in range(0, _UNDER_WAY, 2)]
        results.append(reduction.combine(k, *pairs))
    return results
