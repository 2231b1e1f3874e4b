"""What kernels on rows share: passes over a row in whole vectors and a masked rest, sums, and the rows' addresses."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.llvm.types import f32, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

__all__ = ["ROW_AXES", "Rows", "Term", "row_max", "row_sums", "segments", "sweep", "sweep_pairs"]

ROW_AXES = 3
"""Axes along which rows of a strided tensor are counted, the last one first."""
_SEGMENT = 1024  # elements: less is not worth sharing
_UNROLL = 4  # additions that are under way at once
_SUMMED = 4096
"""Elements that are added up before their sum is added to others: to a large sum, many small ones would add nothing."""

Body = Callable[[Value, Value | None, int], None]
Term = Value | tuple[Value, Value]
"""What is added up: a value, or the product of two."""


def sweep(k: Kernel, start: Number, stop: Number, body: Body, unroll: int = 1) -> None:
    """Builds `body(index, mask, slot)` for the vectors that cover start ... stop - 1; a whole vector has no mask.

    `slot` counts the vectors of one step of the loop, of which there are `unroll`.
    """
    lanes = k.target.lanes
    step = unroll * lanes
    whole = (k.lift(stop, i64) - start) // step * step + start
    with k.range_(start, whole, step) as index:
        for slot in range(unroll):
            body(index + slot * lanes, None, slot)
    with k.range_(whole, stop, lanes) as index:
        left = k.convert(k.lift(stop, i64) - index, i32)
        body(index, k.iota(i32, lanes) < k.splat(left, lanes), 0)


def sweep_pairs(k: Kernel, start: Number, stop: Number, body: Callable[[Value, Value | None, int], None]) -> None:
    """Builds `body(index, mask, lanes)` for vectors of two registers, and for what is left as `sweep` does.

    For long chains of instructions: those of two registers are under way side by side.
    """
    lanes = k.target.lanes
    whole = (k.lift(stop, i64) - start) // (2 * lanes) * (2 * lanes) + start
    with k.range_(start, whole, 2 * lanes) as index:
        body(index, None, 2 * lanes)
    sweep(k, whole, stop, lambda index, mask, slot: body(index, mask, lanes))


def row_sums(
    k: Kernel, width: Value, count: int, terms: Callable[[Value, Value | None], Sequence[Term]]
) -> list[Value]:
    """Returns the sums along a row of `count` terms; a pair stands for its product.

    The order of the additions depends on the width and the target alone.
    """
    zero = k.constant(vector(f32, k.target.lanes), 0)
    totals = [[k.variable(zero) for _ in range(_UNROLL)] for _ in range(count)]
    with k.range_(0, width, _SUMMED) as start:
        sums = [[k.variable(zero) for _ in range(_UNROLL)] for _ in range(count)]

        def add(index: Value, mask: Value | None, slot: int) -> None:
            for total, term in zip(sums, terms(index, mask), strict=True):
                value, factor = term if isinstance(term, tuple) else (term, None)
                if mask is not None:
                    value = k.select(mask, value, zero)
                before = total[slot].value
                total[slot].value = before + value if factor is None else k.fma(value, factor, before)

        sweep(k, start, k.minimum(start + _SUMMED, width), add, _UNROLL)
        for total, sum_ in zip(totals, sums, strict=True):
            for whole, part in zip(total, sum_, strict=True):
                whole.value = whole.value + part.value
    return [k.horizontal_sum(reduce(lambda a, b: a + b, (part.value for part in total))) for total in totals]


def row_max(k: Kernel, row: Pointer, width: Value) -> Value:
    """Returns the largest number of a row; NaN does not count, and a row of nothing else gives -inf."""
    lanes = k.target.lanes
    least = k.constant(vector(f32, lanes), float("-inf"))
    largest = [k.variable(least) for _ in range(_UNROLL)]

    def compare(index: Value, mask: Value | None, slot: int) -> None:
        value, before = row.load(index, lanes, mask), largest[slot].value
        greater = value > before
        largest[slot].value = k.select(greater if mask is None else greater & mask, value, before)

    sweep(k, 0, width, compare, _UNROLL)
    return k.horizontal_max(reduce(lambda a, b: k.select(a > b, a, b), (part.value for part in largest)))


@contextmanager
def segments(k: Kernel, rows: Value, width: Value) -> Iterator[tuple[Value, Value, Value]]:
    """Runs the body for this part's share of a (rows, width) array: row, first and end of a piece of it."""
    pieces = (width + (_SEGMENT - 1)) // _SEGMENT
    with k.share(rows * pieces) as (first, end), k.range_(first, end) as piece:
        row, start = piece // pieces, piece % pieces * _SEGMENT
        yield row, start, k.minimum(start + _SEGMENT, width)


class Rows:
    """The rows of a tensor whose last axis has no gaps; takes the strides from the kernel's arguments."""

    def __init__(self, k: Kernel, base: Pointer, strided: bool) -> None:
        self._base = base
        self._lengths = [k.integer() for _ in range(ROW_AXES - 1)] if strided else []
        self._strides = [k.integer() for _ in range(ROW_AXES if strided else 1)]

    def __getitem__(self, row: Value) -> Pointer:
        offset, rest = row * 0, row
        for length, stride in zip(self._lengths, self._strides, strict=False):
            offset, rest = offset + rest % length * stride, rest // length
        return self._base + (offset + rest * self._strides[-1])
