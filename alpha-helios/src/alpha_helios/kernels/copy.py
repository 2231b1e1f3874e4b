"""Kernels that move elements without looking at them: filling, joining, and copying across the grain."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.elementwise import invocation, offset, unravelled
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import i64
from alpha_helios.spirv.value import Value

__all__ = ["FILLED", "TILE", "fill", "join", "transpose"]

FILLED = {"i8": 4, "i16": 4, "i32": 4, "i64": 2}
"""How many neighbours an invocation of `fill` writes."""
TILE = 32
"""Rows and columns that a workgroup of `transpose` turns."""


def fill(k: Kernel, *, type_: str, wide: bool) -> None:
    """out[i] = bits. Arguments: out, how many elements, bits. Grid: an invocation for every `FILLED` elements."""
    out = elements(k, type_)
    count = k.long() if wide else k.integer()
    bits = k.long() if type_ == "i64" else k.integer()
    lanes = FILLED[type_]
    first = invocation(k, wide) * lanes
    with k.if_(first + (lanes - 1) < count) as branch:
        out.store(first, k.splat(bits, lanes))
    with branch.else_(), k.range_(first, count) as index:
        out.store(index, bits)


def join(k: Kernel, *, types: tuple[str, ...], lanes: int, wide: bool) -> None:
    """Rows that consist of parts side by side: out (rows, width), parts (rows, their width), zeros where there is none.

    `types` are dtypes by name, of out and of the parts; an empty one stands for zeros. Widths and strides are multiples
    of `lanes`. Arguments: out, the parts that are not zeros; how many elements, width, width of each part, strides of
    the rows of those that are not zeros. Grid: an invocation for every `lanes` elements.
    """
    integer = k.long if wide else k.integer
    out = elements(k, types[0])
    parts = [elements(k, type_, readonly=True) if type_ else None for type_ in types[1:]]
    count, width = integer(), integer()
    widths = [integer() for _ in parts]
    strides = [None if part is None else integer() for part in parts]
    first = invocation(k, wide) * lanes
    with k.if_(first < count):
        row, column = unravelled(first, [width])
        before: Value = column  # of the column, counted from the part
        for part, length, stride in zip(parts, widths, strides, strict=True):
            with k.if_((before >= 0) & (before < length)):
                if part is None or stride is None:
                    nothing = k.constant(out.computed, 0)
                    out.store(first, k.splat(nothing, lanes) if lanes > 1 else nothing)
                else:
                    out.store(first, part.load(row * stride + before, lanes))
            before = before - length


def transpose(k: Kernel, *, types: tuple[str, str], outer: int) -> None:
    """Copies a tensor to a contiguous one whose neighbours are others, in tiles that go through shared memory.

    Neighbours in out are elements of a column, neighbours in x those of a row; of both there are many matrices, along
    `outer` other axes. `types` are dtypes by name, of out and x. Arguments: out, x; how many tiles; rows, columns; the
    stride of the columns in out, and of the rows in x; the lengths of the other axes but the first, their strides in
    out, and in x. Workgroup: (TILE, any divisor of TILE). Grid: a workgroup for each tile.
    """
    out, x = elements(k, types[0]), elements(k, types[1], readonly=True)
    tiles, rows, columns = k.long(), k.integer(), k.integer()
    column_step, row_step = k.long(), k.long()
    lengths = [k.integer() for _ in range(outer - 1)]
    steps = [[k.long() for _ in range(outer)] for _ in range(2)]
    tile = k.shared(x.computed, TILE * (TILE + 1))  # a column more, so that no two of a column lie in one bank
    group = linear_group(k)
    with k.if_(k.convert(group, i64) < tiles):
        across = (columns + (TILE - 1)) // TILE
        down = (rows + (TILE - 1)) // TILE
        rest, column_tile = unravelled(group, [across])
        batch, row_tile = unravelled(rest, [down])
        place = [k.convert(index, i64) for index in unravelled(batch, lengths)] if outer else []
        target, source = out + offset(place, steps[0]), x + offset(place, steps[1])
        here, step = k.local(1), k.workgroup[1]
        column = column_tile * TILE + k.local(0)
        with k.range_(here, TILE, step) as line:
            row = row_tile * TILE + line
            with k.if_((row < rows) & (column < columns)):
                tile[line * (TILE + 1) + k.local(0)] = source[k.convert(row, i64) * row_step + k.convert(column, i64)]
        k.barrier()
        row = row_tile * TILE + k.local(0)
        with k.range_(here, TILE, step) as line:
            column = column_tile * TILE + line
            with k.if_((row < rows) & (column < columns)):
                moved = tile[k.local(0) * (TILE + 1) + line]
                target[k.convert(column, i64) * column_step + k.convert(row, i64)] = moved
