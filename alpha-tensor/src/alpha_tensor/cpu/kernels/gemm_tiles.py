"""Matrix products on tile registers (AMX): blocks of 32 by 32 sums, from tiles of 16 lines by 32 bf16 numbers.

f32 operands come as three bf16 numbers each, high, middle and low, whose sum they are exactly. Of the nine products of
parts the six above the last bit of an f32 are added up, the largest last. Within an instruction sums of 16 products
start from 0, so there are fewer roundings at the size of the result than with one multiply-add after the other.

The order of the six, and of the tiles in each, lets a load of a tile register wait for as few products as possible.
"""

from typing import TYPE_CHECKING

from alpha_tensor.cpu.kernels.finish import Finish, Output
from alpha_tensor.cpu.kernels.gemm import Units
from alpha_tensor.cpu.kernels.pack import TILE_WORDS
from alpha_tensor.cpu.llvm.types import f32, i8, i32, i64
from alpha_tensor.cpu.llvm.value import Pointer, Value

if TYPE_CHECKING:
    from alpha_tensor.cpu.kernel import Kernel

__all__ = ["TILE_LINES", "TILE_STEPS", "gemm_tiles"]

TILE_LINES = 32
"""Lines of a packed panel: two tiles."""
TILE_STEPS = 16
_SIDE = 16
_FETCHED_ROWS = 4  # in a step: few enough not to hold up the loads of tiles
_LEFT, _RIGHT = (4, 5), (6, 7)
"""Tile registers of the operands; 0 to 3 hold the sums."""
_ORDER = {"bf16": ((0, 0),), "split": ((0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0))}
"""Parts of the left and the right operand that are multiplied, one pair after the other. Only one of both changes."""


def gemm_tiles(k: "Kernel", finish: Finish, words: str) -> None:
    """out = a b for a batch, on one thread's share of panels and rows.

    Arguments: out, what `Output` takes, a, b, rows, columns, steps of 32, the longest run of rows, words of a packed
    panel, number of products, of the inner batch axis, strides of a and b along the outer and inner batch axes.
    """
    output = Output(k, finish)
    a, b = k.pointer(i32), k.pointer(i32)
    output.take_reads()
    rows, columns, steps, longest, panel_stride = (k.integer() for _ in range(5))
    batch, batch_inner, a_outer, a_inner, b_outer, b_inner = (k.integer() for _ in range(6))
    tile = k.stack(f32, TILE_LINES * TILE_LINES)
    _configure(k)
    units = Units(k, rows, longest, (columns + (TILE_LINES - 1)) // TILE_LINES, batch, TILE_LINES)
    with k.share(units.count) as (start, stop), k.range_(start, stop) as unit:
        matrix, first, end, panel = units.decode(unit)
        outer, inner = matrix // batch_inner, matrix % batch_inner
        left = a + (outer * a_outer + inner * a_inner)
        right = b + (outer * b_outer + inner * b_inner + panel * panel_stride)
        column = panel * TILE_LINES
        width = k.minimum(columns - column, TILE_LINES)
        with k.range_(first, end, TILE_LINES) as row:
            height = k.minimum(rows - row, TILE_LINES)
            index = (matrix * rows + row) * columns + column
            _block(k, words, left + row // TILE_LINES * panel_stride, right, steps, output.out + index, columns)
            if finish.plain:
                with k.if_else((width == TILE_LINES) & (height == TILE_LINES)) as branch:
                    with branch.then:
                        _store(k, output.out + index, columns)
                    with branch.otherwise:
                        _store(k, tile, TILE_LINES)
                        output.block(tile, TILE_LINES, index, columns, column, height, width)
            else:
                _store(k, tile, TILE_LINES)
                output.block(tile, TILE_LINES, index, columns, column, height, width)
    k.intrinsic("llvm.x86.tilerelease", None)


def _configure(k: "Kernel") -> None:
    """Gives all eight tile registers 16 rows of 64 bytes."""
    table = k.stack(i8, 64)
    with k.range_(0, 64) as index:
        table[index] = 0
    table[0] = 1
    for register in range(8):
        table[16 + 2 * register] = 64
        table[48 + register] = _SIDE
    k.intrinsic("llvm.x86.ldtilecfg", None, table.address)


def _block(
    k: "Kernel", words: str, left: Pointer, right: Pointer, steps: Value, out: Pointer, row_stride: Value
) -> None:
    """Adds up the products of all steps in the tile registers 0 to 3, loading each operand just before its use.

    Meanwhile the place of the result is fetched: it lies in rows far apart, which the processor does not foresee.
    """
    order = _ORDER[words]
    parts = 1 + max(max(pair) for pair in order)
    for register in range(4):
        k.intrinsic("llvm.x86.tilezero", None, k.constant(i8, register))

    def load(register: int, step: Pointer, part: int, half: int) -> None:
        place = step + (half * parts + part) * TILE_WORDS
        k.intrinsic("llvm.x86.tileloadd64", None, k.constant(i8, register), place.address, k.constant(i64, 64))

    def multiply(row: int, column: int) -> None:
        registers = (2 * row + column, _LEFT[row], _RIGHT[column])
        k.intrinsic("llvm.x86.tdpbf16ps", None, *(k.constant(i8, register) for register in registers))

    for half in (0, 1):
        load(_LEFT[half], left, order[0][0], half)
        load(_RIGHT[half], right, order[0][1], half)
    stride = 2 * parts * TILE_WORDS
    with k.range_(0, steps * stride, stride) as offset:
        a, b = left + offset, right + offset
        first_row = offset // stride * _FETCHED_ROWS
        with k.if_(first_row < TILE_LINES):
            for row in range(_FETCHED_ROWS):
                line = out + (first_row + row) * row_stride
                k.prefetch(line)
                k.prefetch(line + _SIDE)
        for number, (part_a, part_b) in enumerate(order):
            last = number == len(order) - 1
            next_a, next_b = order[0 if last else number + 1]
            step_a, step_b = (a + stride, b + stride) if last else (a, b)
            # Behind the last step tiles are read too, which nobody looks at.
            new_a, new_b = last or next_a != part_a, last or next_b != part_b
            if new_b and not new_a:
                for column in (0, 1):
                    multiply(0, column)
                    multiply(1, column)
                    load(_RIGHT[column], step_b, next_b, column)
                continue
            for row in (0, 1):
                multiply(row, 0)
                if row and new_b:
                    load(_RIGHT[0], step_b, next_b, 0)
                multiply(row, 1)
                if row and new_b:
                    load(_RIGHT[1], step_b, next_b, 1)
                load(_LEFT[row], step_a, next_a, row)


def _store(k: "Kernel", target: Pointer, row_stride: "Value | int") -> None:
    for register in range(4):
        place = target + (k.lift(row_stride, i64) * (register // 2 * _SIDE) + register % 2 * _SIDE)
        stride = k.lift(row_stride, i64) * 4
        k.intrinsic("llvm.x86.tilestored64", None, k.constant(i8, register), place.address, stride)
