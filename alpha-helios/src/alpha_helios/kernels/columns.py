"""Sums over rows in two steps whose order is fixed: of a block of rows by a workgroup, then of the blocks."""

from collections.abc import Sequence

from alpha_helios.kernels.access import elements
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer, Variable
from alpha_helios.spirv.types import f32, i64
from alpha_helios.spirv.value import Number, Value

__all__ = ["store_sums", "sum_blocks"]

_UNDER_WAY = 4


def store_sums(
    k: Kernel,
    partial: Pointer,
    sums: Sequence[Sequence[Variable]],
    columns: Sequence[Value],
    layer: Number,
    layers: int,
    span: int,
    left: Value,
    step: Value,
) -> None:
    """Adds up the sums of the layers of a workgroup, and stores them for its columns.

    An invocation belongs to one of `layers`, and holds sums of the columns from each of `columns` on, which count from
    the first of the `span` columns that the workgroup has, of which `left` exist. Each of `sums` is stored `step`
    elements behind the one before. The whole workgroup takes part.
    """
    if layers == 1:
        for number, variables in enumerate(sums):
            to = partial + k.convert(step, i64) * number
            for column, variable in zip(columns, variables, strict=True):
                with k.if_(column < left):
                    to.store(column, variable.value)
        return
    scratch = k.shared(f32, layers * span)
    for number, variables in enumerate(sums):
        k.barrier()
        for column, variable in zip(columns, variables, strict=True):
            scratch.store(k.lift(layer, column.type) * span + column, variable.value)
        k.barrier()
        to = partial + k.convert(step, i64) * number
        with k.range_(k.local_index, k.minimum(left, span), k.invocations) as column:
            total = k.variable(scratch[column])
            for other in range(1, layers):
                total.value = total.value + scratch[column + other * span]
            to[column] = total.value


def sum_blocks(k: Kernel, *, out: str, add: bool) -> None:
    """out[c] = sum of partial[b][first + c] over the blocks b; added to out if `add`.

    Arguments: out, partial sums in f32; blocks, elements from one to the next, first, width. A workgroup (x, y) takes x
    columns, of which y invocations add up blocks.
    """
    target, partial = elements(k, out), k.pointer(readonly=True)
    blocks, stride, first, width = (k.integer() for _ in range(4))
    x, y, _ = k.workgroup
    column = k.group(0) * x + k.local(0)
    totals = [k.variable(0.0, f32) for _ in range(_UNDER_WAY)]
    scratch = k.shared(f32, x * y)
    with k.if_(column < width):
        source = partial + (first + column)
        step = y * _UNDER_WAY
        whole = blocks // step * step

        def term(block: Value) -> Value:
            return source[k.convert(block, i64) * k.convert(stride, i64)]

        with k.range_(k.local(1), whole, step) as block:
            terms = [term(block + place * y) for place in range(_UNDER_WAY)]
            for total, value in zip(totals, terms, strict=True):
                total.value = total.value + value
        with k.range_(whole + k.local(1), blocks, y) as block:
            totals[0].value = totals[0].value + term(block)
        scratch[k.local_index] = (totals[0].value + totals[1].value) + (totals[2].value + totals[3].value)
    k.barrier()
    with k.if_((k.local(1) == 0) & (column < width)):
        total = k.variable(scratch[k.local(0)])
        for other in range(1, y):
            total.value = total.value + scratch[k.local(0) + other * x]
        target[column] = target[column] + total.value if add else total.value
