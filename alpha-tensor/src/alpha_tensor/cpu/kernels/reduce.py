"""Reductions of rows and of columns, in an order that depends on the shape and the register width alone.

Sums have several accumulators, which are emptied into a total now and then: the error grows with the length of a run
between two emptyings, and hardly with the length of the whole.
"""

from collections.abc import Callable

import attrs

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.elementwise import larger, smaller
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import f32, f64, i64, pointer, vector
from alpha_tensor.cpu.llvm.value import Pointer, Value, Variable

__all__ = ["SQUARES_BLOCK", "reduce_columns", "reduce_rows", "squares", "total"]

SQUARES_BLOCK = 16384
"""Elements whose squares become one partial sum."""

_ACCUMULATORS = 4
_RUN = 16  # additions to one accumulator before it is emptied


@attrs.frozen
class _Reduction:
    identity: float
    combine: Callable[[Function, Value, Value], Value]
    map: Callable[[Function, Value], Value] = lambda f, x: x


def _is_finite(f: Function, x: Value) -> Value:
    return f.select(f.absolute(x) < float("inf"), f.constant(x.type, 1), 0)


_REDUCTIONS = {
    "sum": _Reduction(0.0, lambda f, a, b: a + b),
    "max": _Reduction(float("-inf"), larger),
    "min": _Reduction(float("inf"), smaller),
    "finite": _Reduction(1.0, smaller, _is_finite),
}


def reduce_rows(k: Kernel, op: str, accumulate: bool) -> None:
    """result[r, b] = scale * op over block b of row r, whose elements are neighbours.

    Arguments: the result, x; the number of rows, their length, from one row to the next, blocks in a row, their length,
    then the scale. With `accumulate` it is added to the result.
    """
    target, source = k.pointer(), k.pointer()
    rows, length, step, blocks, block = (k.integer() for _ in range(5))
    scale = k.number()
    run = _run(k, _REDUCTIONS[op])
    with k.if_else(blocks == 1) as branch:
        with branch.then, k.share(rows, 4) as (first, last), k.range_(first, last) as row:
            value = k.call(run, (source + row * step).address, length)
            assert value is not None
            _put(target, row, value * scale, accumulate)
        with branch.otherwise, k.share(rows * blocks) as (first, last), k.range_(first, last) as item:
            start = item % blocks * block
            of = source + (item // blocks * step + start)
            value = k.call(run, of.address, k.minimum(length - start, block))
            assert value is not None
            _put(target, item, value * scale, accumulate)


def reduce_columns(k: Kernel, op: str, accumulate: bool) -> None:
    """result[a, b, c] = scale * op over the rows in block b of matrix a, for each column c.

    Arguments: the result, x; the number of matrices, of rows and of columns, from one matrix and from one row to the
    next, blocks of rows in a matrix, their length, then the scale. With `accumulate` it is added to the result.
    """
    target, source = k.pointer(), k.pointer()
    matrices, height, width, matrix_step, step, blocks, block = (k.integer() for _ in range(7))
    scale = k.number()
    lanes = k.target.lanes
    strip = _ACCUMULATORS * lanes
    strips = (width + (strip - 1)) // strip
    with k.share(matrices * blocks * strips) as (first, last), k.range_(first, last) as item:
        column, place = item % strips * strip, item // strips
        start = place % blocks * block
        stop = k.minimum(start + block, height)
        of, to = source + (place // blocks * matrix_step + column), target + (place * width + column)
        left = width - column
        with k.if_else(left >= strip) as branch:
            with branch.then:
                _strip(k, op, of, to, (start, stop, step), [None] * _ACCUMULATORS, scale, accumulate)
            with branch.otherwise, k.range_(0, left, lanes) as offset:
                mask = k.lane_mask(left - offset, lanes)
                _strip(k, op, of + offset, to + offset, (start, stop, step), [mask], scale, accumulate)


def _strip(
    k: Kernel,
    op: str,
    of: Pointer,
    to: Pointer,
    rows: tuple[Value, Value, Value],
    masks: list[Value | None],
    scale: Value,
    accumulate: bool,
) -> None:
    """Reduces neighbouring columns, one register for each mask; rows are taken two at a time."""
    lanes, reduction = k.target.lanes, _REDUCTIONS[op]
    start, stop, step = rows
    totals = [_variable(k, reduction, lanes) for _ in masks]
    with k.range_(start, stop, _RUN) as first:
        last = k.minimum(first + _RUN, stop)
        even, odd = ([_variable(k, reduction, lanes) for _ in masks] for _ in range(2))
        pairs = first + (last - first) // 2 * 2
        with k.range_(first, pairs, 2) as row:
            for ahead, accumulators in enumerate((even, odd)):
                _take(k, reduction, of + (row + ahead) * step, accumulators, masks)
        with k.range_(pairs, last) as row:
            _take(k, reduction, of + row * step, even, masks)
        for sum_, one, other in zip(totals, even, odd, strict=True):
            sum_.value = reduction.combine(k, sum_.value, reduction.combine(k, one.value, other.value))
    for number, (sum_, mask) in enumerate(zip(totals, masks, strict=True)):
        value = sum_.value * k.splat(scale, lanes)
        if accumulate:
            value = to.load(number * lanes, lanes, mask) + value
        to.store(number * lanes, value, mask)


def _take(k: Kernel, reduction: _Reduction, row: Pointer, into: list[Variable], masks: list[Value | None]) -> None:
    lanes = k.target.lanes
    for number, (accumulator, mask) in enumerate(zip(into, masks, strict=True)):
        value = reduction.map(k, row.load(number * lanes, lanes, mask))
        accumulator.value = reduction.combine(k, accumulator.value, value)


def _run(k: Kernel, reduction: _Reduction) -> Function:
    """Builds a function that reduces neighbours: `run(address, count)`."""
    f, lanes = k.module.function("run", f32, [pointer, i64]), k.target.lanes
    source, count = Pointer(f.parameters[0], f32), f.parameters[1]
    block = _ACCUMULATORS * lanes
    whole = count // block * block
    total_ = _variable(f, reduction, lanes)
    with f.range_(0, whole, _RUN * block) as first:
        accumulators = [_variable(f, reduction, lanes) for _ in range(_ACCUMULATORS)]
        with f.range_(first, f.minimum(first + _RUN * block, whole), block) as index:
            for number, accumulator in enumerate(accumulators):
                value = reduction.map(f, source.load(index + number * lanes, lanes))
                accumulator.value = reduction.combine(f, accumulator.value, value)
        a, b, c, d = (accumulator.value for accumulator in accumulators)
        total_.value = reduction.combine(
            f, total_.value, reduction.combine(f, reduction.combine(f, a, b), reduction.combine(f, c, d))
        )
    with f.range_(whole, count, lanes) as index:
        mask = f.lane_mask(count - index, lanes)
        value = reduction.map(f, source.load(index, lanes, mask))
        value = f.select(mask, value, reduction.identity)
        total_.value = reduction.combine(f, total_.value, value)
    f.return_(f.fold(total_.value, lambda a, b: reduction.combine(f, a, b)))
    return f


def _variable(f: Function, reduction: _Reduction, lanes: int) -> Variable:
    return f.variable(reduction.identity, vector(f32, lanes))


def _put(target: Pointer, index: Value, value: Value, accumulate: bool) -> None:
    target[index] = target[index] + value if accumulate else value


def squares(k: Kernel, count: int) -> None:
    """Sums of squares in f64, one for each `SQUARES_BLOCK` elements of each of `count` tensors.

    Arguments: the sums, the tensors; the place of the first sum, the length of each tensor.
    """
    target = k.pointer(f64)
    sources, lengths = k.stack(pointer, count), k.stack(i64, count)
    for number in range(count):
        sources[number] = k.pointer().address
    place, blocks = k.integer(), k.constant(i64, 0)
    for number in range(count):
        length = k.integer()
        lengths[number] = length
        blocks = blocks + _blocks(length)
    run = _squares_run(k)
    start = k.variable(0, i64)
    with k.share(blocks) as (first, last), k.range_(0, count) as which:
        source, length, before = Pointer(sources[which], f32), lengths[which], start.value
        after = before + _blocks(length)
        with k.range_(k.maximum(first, before), k.minimum(last, after)) as item:
            offset = (item - before) * SQUARES_BLOCK
            value = k.call(run, (source + offset).address, k.minimum(length - offset, SQUARES_BLOCK))
            assert value is not None
            target[place + item] = value
        start.value = after


def _blocks(length: Value) -> Value:
    return (length + (SQUARES_BLOCK - 1)) // SQUARES_BLOCK


def _squares_run(k: Kernel) -> Function:
    f, lanes = k.module.function("run", f64, [pointer, i64]), k.target.lanes
    source, count = Pointer(f.parameters[0], f32), f.parameters[1]
    block = 2 * lanes
    whole = count // block * block
    sums = [f.variable(0.0, vector(f64, lanes)) for _ in range(2)]

    def take(sum_: Variable, values: Value) -> None:
        wide = f.convert(values, f64)
        sum_.value = f.fma(wide, wide, sum_.value)

    with f.range_(0, whole, block) as index:
        for number, sum_ in enumerate(sums):
            take(sum_, source.load(index + number * lanes, lanes))
    with f.range_(whole, count, lanes) as index:
        take(sums[0], source.load(index, lanes, f.lane_mask(count - index, lanes)))
    f.return_(f.horizontal_sum(sums[0].value + sums[1].value))
    return f


def total(k: Kernel, root: bool) -> None:
    """The sum of f64 numbers in f32, or its square root. Arguments: the result, the numbers; how many there are."""
    target, source, count = k.pointer(), k.pointer(f64), k.integer()
    lanes = k.target.lanes
    with k.if_(k.part == 0):
        sum_ = k.variable(0.0, vector(f64, lanes))
        with k.range_(0, count, lanes) as index:
            sum_.value = sum_.value + source.load(index, lanes, k.lane_mask(count - index, lanes))
        value = k.horizontal_sum(sum_.value)
        target[0] = k.convert(k.sqrt(value) if root else value, f32)
