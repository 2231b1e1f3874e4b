"""Rows of a table by id, and the gradient: rows added up by id, in the order in which they stand."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import COMPUTED, Elements, elements
from alpha_helios.kernels.elementwise import invocation, unravelled
from alpha_helios.kernels.reduce import REDUCTIONS, gathered, met
from alpha_helios.kernels.sort import end_of_run, first_above
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.types import f32, i32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["embedding", "embedding_add", "embedding_grad", "first_places"]


def embedding(k: Kernel, *, types: tuple[str, str], scaled: bool, lanes: int, wide: bool) -> None:
    """out[n] = table[ids[n]], times scale[ids[n]] if `scaled`; ids outside the table count as its last row.

    `types` are dtypes of out and table by name. The width and the table's place are multiples of `lanes`. Arguments:
    out; table, ids, scale if there is one; how many elements, width, rows of the table. Grid: an invocation for every
    `lanes` elements.
    """
    integer = k.long if wide else k.integer
    out, table, ids = elements(k, types[0]), elements(k, types[1], readonly=True), k.pointer(i32, readonly=True)
    scale = k.pointer(readonly=True) if scaled else None
    count, width, rows = integer(), integer(), k.integer()
    first = invocation(k, wide) * lanes
    with k.if_(first < count):
        place, column = unravelled(first, [width])
        row = k.minimum_unsigned(ids[place], rows - 1)
        value = (table + (k.convert(row, i64) * k.convert(width, i64) + k.convert(column, i64))).load(0, lanes)
        if COMPUTED[types[0]] == f32:
            value = k.convert(value, f32)
        out.store(first, value if scale is None else value * scale[row])


def first_places(k: Kernel) -> None:
    """first[row] = how many of the sorted ids are below the row; first has an element more than the table has rows.

    Arguments: first; keys; how many ids, rows. Grid: an invocation for each element of first.
    """
    first, keys, count, rows = k.pointer(i32), k.pointer(i32, readonly=True), k.integer(), k.integer()
    row = linear_group(k) * k.invocations + k.local_index
    with k.if_(row <= rows):
        first[row] = first_above(k, keys, k.constant(i32, 0), count, row - 1)


def embedding_grad(k: Kernel, *, stored: str, lanes: int) -> None:
    """out[row] = the sum of grad over the places whose id the row is, in their order.

    `stored` is the dtype of grad; the width and places are multiples of `lanes`. Arguments: out; grad, first
    (`first_places`), places in the order of their ids; rows, width. Workgroup: columns (each takes `lanes`) by places,
    powers of 2. Grid: a workgroup for so many columns of each row.
    """
    out, grad = k.pointer(), elements(k, stored, readonly=True)
    first, places = k.pointer(i32, readonly=True), k.pointer(i32, readonly=True)
    rows, width = k.integer(), k.integer()
    row, column = _block(k, width, lanes)
    with k.if_(row < rows):
        total = k.variable(k.constant(vector(f32, lanes), 0))
        start, end = first[row], first[row + 1]
        with k.if_(start < end):  # most rows of a large table have no id
            total.value = _sum(k, grad, places, start, end, width, column, lanes)
        with k.if_((column < width) & (k.local(1) == 0)):
            out.store(k.convert(row, i64) * k.convert(width, i64) + k.convert(column, i64), total.value)


def embedding_add(k: Kernel, *, stored: str, lanes: int) -> None:
    """table[row] += what `embedding_grad` gives, for rows that are the id of some place.

    Arguments: table; grad, keys (the ids, sorted), places in the order of their ids; how many ids, rows, width.
    Workgroup: as there. Grid: a workgroup for so many columns of each id.
    """
    table, grad = k.pointer(), elements(k, stored, readonly=True)
    keys, places = k.pointer(i32, readonly=True), k.pointer(i32, readonly=True)
    count, rows, width = k.integer(), k.integer(), k.integer()
    start, column = _block(k, width, lanes)
    with k.if_(start < count):
        row = keys[start]
        is_first = k.variable(k.below(row, rows))
        with k.if_(start > 0):
            is_first.value = is_first.value & (keys[start - 1] != row)
        with k.if_(is_first.value):
            end = end_of_run(k, keys, start, count)
            total = _sum(k, grad, places, start, end, width, column, lanes)
            with k.if_((column < width) & (k.local(1) == 0)):
                there = table + (k.convert(row, i64) * k.convert(width, i64) + k.convert(column, i64))
                there.store(0, there.load(0, lanes) + total)


def _block(k: Kernel, width: Value, lanes: int) -> tuple[Value, Value]:
    """Returns which row, or id, a workgroup is for, and the first column of an invocation."""
    across = k.workgroup[0]
    item, part = unravelled(linear_group(k), [(width + (across * lanes - 1)) // (across * lanes)])
    return item, (part * across + k.local(0)) * lanes


def _sum(
    k: Kernel, grad: Elements, places: Pointer, start: Value, end: Value, width: Value, column: Value, lanes: int
) -> Value:
    """Adds up rows of grad; the result is right for the first invocation of each column."""
    across, down, _ = k.workgroup
    stop = k.select(column < width, end, start)

    def row(index: Value) -> Value:
        place = k.convert(places[index], i64) * k.convert(width, i64)
        return (grad + (place + k.convert(column, i64))).load(0, lanes)

    found = gathered(k, REDUCTIONS["sum"], start + k.local(1), stop, down, lanes, row)
    return met(k, REDUCTIONS["sum"], k.shared(vector(f32, lanes), across * down), found)
