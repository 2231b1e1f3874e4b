"""Products of bf16 matrices on tile registers (AMX), and the layouts in which they take f32 numbers from memory.

A left operand has rows of bf16 numbers along the axis that is summed over. A right operand has pairs of neighbours
along that axis next to each other, one such word for each column. Both are padded with zeros to whole blocks of 32.
"""

from alpha_tensor.cpu.kernels.attention_tile import Rows, transposed
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import bf16, i8, i16, i32, i64, pointer, vector
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

__all__ = [
    "BLOCK",
    "TileProducts",
    "interleaved",
    "joined",
    "pack_columns",
    "pack_pairs_across",
    "pack_pairs_along",
    "pack_rows",
    "whole_blocks",
]

BLOCK = 32
"""Rows and columns that are worked on at once, in four tiles, and numbers that one instruction sums over."""
_SIDE = 16
_LEFT, _RIGHT = (4, 5), (6, 7)
"""Tile registers of the operands; 0 to 3 hold the sums."""


class TileProducts:
    """Makes the tile registers ready, and multiplies. `release` ends their use."""

    def __init__(self, f: Function) -> None:
        self._f = f
        self._multiply = _multiplication(f)
        table = f.stack(i8, 64)
        with f.range_(0, 64) as place:
            table[place] = 0
        table[0] = 1
        for register in range(8):
            table[16 + 2 * register] = 4 * _SIDE  # bytes in a row
            table[48 + register] = _SIDE
        f.intrinsic("llvm.x86.ldtilecfg", None, table.address)

    def add(self, out: Rows, left: Rows, right: Rows, blocks: tuple[Number, Number, Number], add: Number) -> None:
        """out = left right, plus out where `add` is not 0; f32 out, words of two bf16 in the operands.

        `blocks` counts blocks of rows of `out`, of its columns, and of what is summed over.
        """
        f = self._f
        matrices = [part for rows in (out, left, right) for part in (rows.first.address, f.lift(rows.stride, i64) * 4)]
        f.call(self._multiply, *matrices, *(f.lift(number, i64) for number in (*blocks, add)))

    def release(self) -> None:
        self._f.intrinsic("llvm.x86.tilerelease", None)


def _multiplication(outer: Function) -> Function:
    f = outer.module.function("tile_products", None, [*[pointer, i64] * 3, *[i64] * 4])
    out, out_stride, left, left_stride, right, right_stride, rows, columns, steps, add = f.parameters

    def each_sum(intrinsic: str, place: Pointer) -> None:
        for register in range(4):
            tile = place.at(out_stride * (register // 2 * _SIDE) + register % 2 * 64)
            f.intrinsic(intrinsic, None, f.constant(i8, register), tile.address, out_stride)

    with f.range_(0, rows) as row, f.range_(0, columns) as column:
        place = Pointer(out, i8) + (row * BLOCK * out_stride + column * (4 * BLOCK))
        with f.if_else(add != 0) as branch:
            with branch.then:
                each_sum("llvm.x86.tileloadd64", place)
            with branch.otherwise:
                for register in range(4):
                    f.immediate("llvm.x86.tilezero", register)
        with f.range_(0, steps) as step:
            a = Pointer(left, i8) + (row * BLOCK * left_stride + step * 64)
            b = Pointer(right, i8) + (step * _SIDE * right_stride + column * (4 * BLOCK))

            def load(register: int, place: Pointer, stride: Value) -> None:
                f.intrinsic("llvm.x86.tileloadd64", None, f.constant(i8, register), place.address, stride)

            def multiply(row_half: int, column_half: int) -> None:
                f.immediate("llvm.x86.tdpbf16ps", 2 * row_half + column_half, _LEFT[row_half], _RIGHT[column_half])

            load(_LEFT[0], a, left_stride)
            load(_RIGHT[0], b, right_stride)
            multiply(0, 0)
            load(_LEFT[1], a + left_stride * _SIDE, left_stride)
            multiply(1, 0)
            load(_RIGHT[1], b + 4 * _SIDE, right_stride)
            multiply(0, 1)
            multiply(1, 1)
        each_sum("llvm.x86.tilestored64", place)
    f.return_()
    return f


def whole_blocks(count: Value) -> Value:
    """Rounds up to blocks."""
    return (count + (BLOCK - 1)) // BLOCK * BLOCK


def joined(f: Function, low: Value, high: Value) -> Value:
    """Rounds two vectors of 16 f32 to bf16, one after the other, as 16 words."""
    return f.bitcast(_rounded(f, low, high), vector(i32, 16))


def interleaved(f: Function, even: Value, odd: Value) -> Value:
    """Rounds two vectors of 16 f32 to bf16, in turns, as 16 words."""
    numbers = f.bitcast(_rounded(f, even, odd), vector(i16, 32))
    turns = f.shuffle(numbers, numbers, [lane // 2 + lane % 2 * 16 for lane in range(32)])
    return f.bitcast(turns, vector(i32, 16))


def pack_rows(f: Function, source: Rows, count: Value, width: Value, target: Rows) -> None:
    """A left operand from the rows of a matrix (count, width)."""
    with f.range_(0, whole_blocks(count)) as row, f.range_(0, whole_blocks(width), BLOCK) as d:
        low, high = (_load(f, source, row, count, d + half, width) for half in (0, _SIDE))
        target[row].store(d // 2, joined(f, low, high))


def pack_columns(f: Function, source: Rows, count: Value, width: Value, target: Rows) -> None:
    """A left operand from the columns of a matrix (count, width)."""
    with f.range_(0, whole_blocks(count), BLOCK) as row, f.range_(0, whole_blocks(width), _SIDE) as d:
        halves = [
            transposed(f, [_load(f, source, row + (half + i), count, d, width) for i in range(_SIDE)])
            for half in (0, _SIDE)
        ]
        for i, (low, high) in enumerate(zip(*halves, strict=True)):
            target[d + i].store(row // 2, joined(f, low, high))


def pack_pairs_across(f: Function, source: Rows, count: Value, width: Value, target: Rows, lines: int) -> None:
    """A right operand whose columns are the rows of a matrix (count, width), padded to `lines`."""
    with f.range_(0, lines, _SIDE) as row, f.range_(0, whole_blocks(width), BLOCK) as d:
        words = [
            joined(f, *(_load(f, source, row + i, count, d + half, width) for half in (0, _SIDE))) for i in range(_SIDE)
        ]
        for pair, column in enumerate(transposed(f, words)):
            target[d // 2 + pair].store(row, column)


def pack_pairs_along(
    f: Function, source: Rows, count: Value, width: Value, target: Rows, lines: int, scale: Number
) -> None:
    """A right operand whose rows are the rows of a matrix (count, width) times `scale`, padded to `lines`."""
    with f.range_(0, lines, 2) as row, f.range_(0, whole_blocks(width), _SIDE) as d:
        even, odd = (_load(f, source, row + i, count, d, width) * scale for i in range(2))
        target[row // 2].store(d, interleaved(f, even, odd))


def _load(f: Function, source: Rows, row: Value, count: Value, d: Value, width: Value) -> Value:
    """Loads 16 numbers of a row, with zeros outside of the matrix."""
    inside = f.lane_mask(f.select(row < count, width - d, 0), _SIDE)
    return source[f.minimum(row, count - 1)].load(d, _SIDE, inside)


def _rounded(f: Function, low: Value, high: Value) -> Value:
    return f.intrinsic("llvm.x86.avx512bf16.cvtne2ps2bf16.512", vector(bf16, 32), high, low)
