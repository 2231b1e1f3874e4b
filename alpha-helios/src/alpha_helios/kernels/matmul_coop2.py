"""Matrix products with what NV_cooperative_matrix2 adds: matrices of a workgroup, which the device itself brings from
memory as parts of tensors, and sums that are finished where they are."""

import attrs

from alpha_helios.kernels.access import Elements, rounded
from alpha_helios.kernels.block import Block
from alpha_helios.kernels.finish import Finish
from alpha_helios.kernels.tile import Side
from alpha_helios.spirv.cooperative import Matrix, MatrixType
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.tensor import Clamp
from alpha_helios.spirv.types import bf16, f16, f32, i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["TENSOR_TILES", "TensorTile", "gemm_coop2", "store_elements"]

_COMPONENT = {"f16": f16, "bf16": bf16, "f32": f32}


@attrs.frozen
class TensorTile:
    """A block of the result that a workgroup computes as one matrix, `depth` steps of the sum at a time."""

    rows: int
    columns: int
    depth: int
    invocations: int


TENSOR_TILES = {
    "128x256x64": TensorTile(128, 256, 64, 256),
    "128x128x64": TensorTile(128, 128, 64, 256),
    "128x64x64": TensorTile(128, 64, 64, 128),
    "64x64x64": TensorTile(64, 64, 64, 128),
}
"""By the name that traces and tuning results show. The largest one has 128 sums an invocation."""


def gemm_coop2(
    k: Kernel, *, tile: str, left: Side, right: Side, finish: Finish, clamped: bool, whole: bool, parts: bool
) -> None:
    """out[b, m, n] = sum_k a[b, m, k] b[b, k, n], finished as `finish` says; operands stored in f16 or bf16.

    Arguments and grid: as `Block` says; what is between rows, and a matrix of the result, lies within 2 GiB. Operands
    of each product, and with `whole` its result, begin at multiples of 16 bytes.

    With `parts` the K steps are shared out, and out is (parts, b, M, N). Without `clamped` no block crosses an edge.
    With `whole` nothing is done with the sums but rounding, or adding, and blocks are stored at once; else element by
    element.
    """
    shape = TENSOR_TILES[tile]
    block = Block(k, shape.rows, shape.columns, left, right, finish, parts=parts)
    factor = _COMPONENT[left.stored]
    a = k.coop_matrix(factor, shape.rows, shape.depth, "a", "workgroup")
    b = k.coop_matrix(factor, shape.depth, shape.columns, "b", "workgroup")
    total = k.coop_matrix(f32, shape.rows, shape.columns, "accumulator", "workgroup")
    sums = k.coop_variable(k.coop_fill(total, 0))
    clamp: Clamp = "constant" if clamped else "undefined"
    ends = [block.stop if side.along == "inner" else end for side, end in ((left, block.rows), (right, block.columns))]
    # Where there is but one row its stride says nothing, and may be less than a layout takes.
    a_stride, b_stride = (k.maximum(k.convert(one, i32), end) for one, end in zip(block.strides, ends, strict=True))
    with k.range_(block.start, block.stop, shape.depth) as step:
        x = _factor(k, a, block.a, left, (block.row, block.rows), (step, block.stop), a_stride, clamp)
        y = _factor(k, b, block.b, right, (block.column, block.columns), (step, block.stop), b_stride, clamp)
        sums.value = k.coop_muladd(x, y, sums.value)
    if whole:
        _store_whole(k, block, sums.value, finish, clamp)
    else:
        store_elements(k, block, sums.value, block.row, block.column)


def _factor(
    k: Kernel,
    type_: MatrixType,
    source: Elements,
    side: Side,
    lines: tuple[Value, Value],
    steps: tuple[Value, Value],
    stride: Value,
    clamp: Clamp,
) -> Matrix:
    """Reads the part of an operand that begins at a line and a step; each stands before where all of them end.

    What lies beyond is read as zeros, in both operands: nothing but zeros is added for steps beyond the last.
    """
    is_left = type_.use == "a"
    width, depth = (type_.rows, type_.columns) if is_left else (type_.columns, type_.rows)
    axes = [(lines, width), (steps, depth)] if side.along == "inner" else [(steps, depth), (lines, width)]
    layout = k.tensor_layout(2, clamp).dimensions(*(end for (_, end), _ in axes)).strides(stride, 1)
    layout = layout.slice(*((first, length) for (first, _), length in axes))
    view = None if (side.along == "inner") == is_left else k.tensor_view(2, (1, 0))
    return k.coop_load_tensor(type_, source.place.cast(type_.component), layout, view, alignment=2 * side.lanes)


def _store_whole(k: Kernel, block: Block, sums: Matrix, finish: Finish, clamp: Clamp) -> None:
    """Rounds a block of sums and stores what of it lies within the result, or adds it to what is there."""
    component = _COMPONENT[finish.out]
    if finish.add:
        sums = _added(k, block, sums)
        k.barrier(shared=False, buffers=True)  # nobody stores what somebody may still read
    elif finish.out != "f32":  # the conversion is exact then, whatever way the device rounds
        sums = k.coop_per_element(sums, lambda row, column, value: rounded(k, value, finish.out)).convert(component)
    layout = k.tensor_layout(2, clamp).dimensions(block.rows, block.columns)
    layout = layout.slice((block.row, sums.type.rows), (block.column, sums.type.columns))
    out = block.output.out + block.above * k.convert(block.columns, i64)
    k.coop_store_tensor(out.place.cast(component), sums, layout)


def _added(k: Kernel, block: Block, sums: Matrix) -> Matrix:
    """The sums, rounded, and what the result holds in their places."""
    output = block.output

    def add(y: Value, x: Value, value: Value, row: Value, column: Value, *given: Value) -> Value:
        rows, columns, above, *addresses = given
        here, there = row + y, column + x
        total = k.variable(rounded(k, value, output.finish.product))
        with k.if_((here < rows) & (there < columns)):
            index = (above + k.convert(here, i64)) * k.convert(columns, i64) + k.convert(there, i64)
            total.value = output.reached_by(addresses).out.load(index) + total.value
        return total.value

    return k.coop_per_element(
        sums, add, block.row, block.column, block.rows, block.columns, block.above, *output.addresses
    )


def store_elements(k: Kernel, block: Block, sums: Matrix, row: Value, column: Value) -> None:
    """Finishes what of a matrix of sums lies within the result; it begins at a row and a column of that.

    The device calls a function for each element, wherever it is. That function stores, and returns the sum as it was.
    It may be called more than once for an element: what is added to a result (`Finish.add`) takes another way.
    """
    output = block.output

    def store(y: Value, x: Value, value: Value, row: Value, column: Value, *given: Value) -> Value:
        rows, columns, above, *addresses = given
        here, there = row + y, column + x
        with k.if_((here < rows) & (there < columns)):
            index = (above + k.convert(here, i64)) * k.convert(columns, i64) + k.convert(there, i64)
            output.reached_by(addresses).store(value, index, there)
        return value

    k.coop_per_element(sums, store, row, column, block.rows, block.columns, block.above, *output.addresses)
