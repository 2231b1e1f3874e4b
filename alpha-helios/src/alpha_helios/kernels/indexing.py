"""Selection along an axis by an integer tensor, its gradient, and the search for the largest element."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.elementwise import invocation, unravelled
from alpha_helios.kernels.sort import order_of_number
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["argmax", "gather", "gather_grad", "gather_grad_few", "write_rows"]


def gather(k: Kernel, *, type_: str) -> None:
    """out[o, j, i] = x[o, index[o, j, i], i]; an index outside the axis counts as its last place.

    Arguments: out; x, index; how many elements, picks (the length of the middle axis), length of that axis of x, inner.
    Grid: an invocation for each element.
    """
    out, x, index = elements(k, type_), elements(k, type_, readonly=True), k.pointer(i32, readonly=True)
    count, picks, length, inner = k.long(), k.long(), k.integer(), k.long()
    place = invocation(k, wide=True)
    with k.if_(place < count):
        outer, _, within = unravelled(place, [picks, inner])
        picked = k.convert(k.minimum_unsigned(index[place], length - 1), i64)
        out[place] = x[(outer * k.convert(length, i64) + picked) * inner + within]


def gather_grad(k: Kernel, *, stored: str) -> None:
    """out[o, index[o, j, i], i] += grad[o, j, i], in order of j from `start` to `stop`.

    Arguments: out; grad, index; lines (outer * inner), picks, length, inner, start, stop. Grid: an invocation for each
    line.
    """
    out, grad, index = k.pointer(), elements(k, stored, readonly=True), k.pointer(i32, readonly=True)
    lines, picks, length, inner = k.long(), k.integer(), k.integer(), k.long()
    start, stop = k.integer(), k.integer()
    line = invocation(k, wide=True)
    with k.if_(line < lines):
        outer, within = unravelled(line, [inner])
        target = out + (outer * k.convert(length, i64) * inner + within)
        first = outer * k.convert(picks, i64) * inner + within
        with k.range_(start, stop) as pick:
            there = first + k.convert(pick, i64) * inner
            picked = index[there]
            with k.if_(k.below(picked, length)):
                hit = target + k.convert(picked, i64) * inner
                hit[0] = hit[0] + grad[there]


def gather_grad_few(k: Kernel, *, stored: str) -> None:
    """The same from zeros on, for few picks: each element of out looks for itself among them.

    Arguments: out; grad, index; how many elements of out, picks, length, inner. Grid: an invocation for each of those.
    """
    out, grad, index = k.pointer(), elements(k, stored, readonly=True), k.pointer(i32, readonly=True)
    count, picks, length, inner = k.long(), k.integer(), k.long(), k.long()
    item = invocation(k, wide=True)
    with k.if_(item < count):
        outer, place, within = unravelled(item, [length, inner])
        total = k.variable(0.0, f32)
        with k.range_(0, picks) as pick:
            there = (outer * k.convert(picks, i64) + k.convert(pick, i64)) * inner + within
            with k.if_(index[there] == k.convert(place, i32)):
                total.value = total.value + grad[there]
        out[item] = total.value


def write_rows(k: Kernel, *, types: tuple[str, str], lanes: int) -> None:
    """destination[b, h, index[b]] = source[b, h]; nothing is written for an index outside.

    `types` are dtypes by name; the width and the places are multiples of `lanes`. Arguments: destination; source,
    index; how many elements of source, heads, capacity, width. Grid: an invocation for every `lanes` elements.
    """
    destination, source, index = elements(k, types[0]), elements(k, types[1], readonly=True), k.pointer(i32)
    count, heads, capacity, width = k.integer(), k.integer(), k.integer(), k.integer()
    first = invocation(k, wide=False) * lanes
    with k.if_(first < count):
        batch, head, column = unravelled(first, [heads, width])
        place = index[batch]
        with k.if_(k.below(place, capacity)):
            row = k.convert(batch * heads + head, i64) * k.convert(capacity, i64) + k.convert(place, i64)
            destination.store(row * k.convert(width, i64) + k.convert(column, i64), source.load(first, lanes))


def argmax(k: Kernel, *, stored: str, team: int) -> None:
    """out[row] = the index of the largest of x[row]; the lowest among equals; NaN is largest.

    Arguments: out; x; rows, width. Grid: a team of `team` for each row.
    """
    out, x = k.pointer(i32), elements(k, stored, readonly=True)
    rows, width = k.integer(), k.integer()
    members = Team(k, team)
    row = linear_group(k) * members.count + members.index
    there = row < rows
    source = x + k.convert(k.select(there, row, 0), i64) * k.convert(width, i64)
    best, where = k.variable(k.constant(i32, -(2**31))), k.variable(k.constant(i32, 0))
    with members.along(width) as index:
        key = order_of_number(k, source[index])
        greater = key > best.value
        best.value = k.select(greater, key, best.value)
        where.value = k.select(greater, index, where.value)
    (largest,) = members.max(best.value)
    mine: Value = k.select(best.value == largest, where.value, 2**31 - 1)
    (lowest,) = members.combine("min", [mine])
    with k.if_(there & (members.lane == 0)):
        out[row] = lowest
