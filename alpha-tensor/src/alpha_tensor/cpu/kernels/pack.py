"""Operands of matrix products, copied into the order in which the products read them.

An operand is a matrix of `lines` (rows of the left one, columns of the right one) by `inner` elements, which are summed
over. One of the two directions is contiguous. It is packed in blocks of 16 by 16 words (8 by 8, 4 by 4 with shorter
registers). A word is one f32, or two bf16 neighbours along the inner axis; "steps" counts words along that axis.

- `panels`: [lines / width][steps][width]: one step of a panel is a few vectors, for products with vector registers.
- `columns` and `rows`: [lines / 32][steps / 16][2][parts][16][16]: tiles of 16 lines by 16 steps for tile registers,
  with the step (`columns`, the right operand) or the line (`rows`, the left operand) as the slower index.

Lines past the end repeat the last one or are zero, for nothing reads their results. Steps past the end are zero.
"""

from typing import TYPE_CHECKING

from alpha_tensor.cpu.kernels.stored import STORED, load_f32
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import bf16, i16, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

if TYPE_CHECKING:
    from alpha_tensor.cpu.kernel import Kernel

__all__ = ["TILE_WORDS", "pack", "panel_words", "transpose"]

TILE_WORDS = 256
_LEADING = -0x10000
"""The bits of an f32 that a bf16 has too."""
_GROUP = 16
"""Blocks of steps in one unit of work."""


def panel_words(steps: int, width: int) -> int:
    """Returns the words between two panels: room for whole blocks of steps, whatever the register width."""
    return -(-steps // 16) * 16 * width


def pack(k: "Kernel", contiguous: str, layout: str, width: int, words: str, element: str = "f32") -> None:
    """Packs a batch of matrices of f32, or of elements that become f32 on the way.

    Arguments: packed, source, lines, inner, the stride of the direction that is not `contiguous` ("lines" or "inner"),
    words between packed panels, panels of one matrix, number of matrices, of the inner batch axis, and the strides of
    the outer and inner batch axes.

    `words`: `f32`; `bf16`, rounded to nearest even; `split`: three bf16 numbers, in three tiles, whose sum is the f32.
    """
    packed, source = k.pointer(i32), k.pointer(STORED[element])
    lines, inner, stride, panel_stride = k.integer(), k.integer(), k.integer(), k.integer()
    panels, batch, batch_inner, outer_stride, inner_stride = (k.integer() for _ in range(5))
    lanes = k.target.lanes
    per_word = 1 if words == "f32" else 2
    parts = 3 if words == "split" else 1
    blocks = (inner + (lanes * per_word - 1)) // (lanes * per_word)
    groups = k.maximum((blocks + (_GROUP - 1)) // _GROUP, 1)
    with k.share(batch * panels * groups) as (start, stop), k.range_(start, stop) as unit:
        panel, matrix = unit // groups % panels, unit // (groups * panels)
        first_block = unit % groups * _GROUP
        offset = matrix // batch_inner * outer_stride + matrix % batch_inner * inner_stride
        matrix_source = source + offset
        target = packed + (matrix * panels + panel) * panel_stride
        last_block = k.minimum(first_block + _GROUP, blocks)
        # Along what is contiguous in the inner loop.
        lines_inside = contiguous == "lines"
        columns, steps = (0, width, lanes), (first_block, last_block, 1)
        outer_range, inner_range = (steps, columns) if lines_inside else (columns, steps)
        with k.range_(*outer_range) as slow, k.range_(*inner_range) as fast:
            column, block = (fast, slow) if lines_inside else (slow, fast)
            line, step = panel * width + column, block * lanes
            if layout == "panels":
                place, row_stride = target + (step * width + column), width
            else:
                place, row_stride = target + (block * (width // lanes) + column // lanes) * (parts * TILE_WORDS), lanes
            loader = _Block(k, matrix_source, element, contiguous, words, lines, inner, stride)
            full = (line + lanes <= lines) & ((step + lanes) * per_word <= inner)
            with k.if_else(full) as branch:
                for side, masked in ((branch.then, False), (branch.otherwise, True)):
                    with side:
                        for part, vectors in enumerate(loader.load(line, step, masked)):
                            if (contiguous == "lines") == (layout == "rows"):
                                vectors = transpose(k, vectors)
                            for row, words_of_row in enumerate(vectors):
                                (place + (part * TILE_WORDS + row * row_stride)).store(0, words_of_row)


class _Block:
    """Loads blocks of a matrix as vectors of words along lines or along steps, whichever is contiguous."""

    def __init__(
        self,
        k: "Kernel",
        source: Pointer,
        element: str,
        contiguous: str,
        words: str,
        lines: Value,
        inner: Value,
        stride: Value,
    ) -> None:
        self.k, self.source, self.element, self.contiguous, self.words = k, source, element, contiguous, words
        self.lines, self.inner, self.stride = lines, inner, stride

    def load(self, line: Value, step: Value, masked: bool) -> list[list[Value]]:
        """Returns vectors of words for each part: one for each step where lines are contiguous, else for each line."""
        lanes = self.k.target.lanes
        words = [self._words(line, step, index, masked) for index in range(lanes)]
        return [list(part) for part in zip(*words, strict=True)]

    def _words(self, line: Value, step: Value, index: int, masked: bool) -> list[Value]:
        k, lanes = self.k, self.k.target.lanes
        if self.contiguous == "inner":
            chosen = k.minimum(line + index, self.lines - 1) if masked else line + index
            row = self.source + chosen * self.stride
            if self.words == "f32":
                return [k.bitcast(self._vector(row, step, self.inner - step, masked), vector(i32, lanes))]
            first = step * 2
            low, high = (self._vector(row, first + half, self.inner - first - half, masked) for half in (0, lanes))
            if self.words == "bf16":
                return [_rounded(k, low, high)]
            return _split(k, *(k.shuffle(low, high, range(odd, 2 * lanes, 2)) for odd in (0, 1)))
        if self.words == "f32":
            return [k.bitcast(self._across(line, step + index, masked), vector(i32, lanes))]
        even, odd = (self._across(line, (step + index) * 2 + second, masked) for second in (0, 1))
        if self.words == "split":
            return _split(k, even, odd)
        both = k.bitcast(_rounded(k, even, odd), vector(i16, 2 * lanes))
        mixed = k.shuffle(both, both, [i // 2 + i % 2 * lanes for i in range(2 * lanes)])
        return [k.bitcast(mixed, vector(i32, lanes))]

    def _across(self, line: Value, position: Value, masked: bool) -> Value:
        """Loads neighbouring lines at one position of the inner axis."""
        k = self.k
        count = k.select(position < self.inner, self.lines - line, k.constant(i64, 0)) if masked else self.lines
        return self._vector(self.source + position * self.stride, line, count, masked)

    def _vector(self, base: Pointer, index: Number, count: Value, masked: bool) -> Value:
        mask = self.k.lane_mask(count, self.k.target.lanes) if masked else None
        return load_f32(self.k, base, index, self.element, mask)


def transpose(f: Function, rows: list[Value]) -> list[Value]:
    """Transposes a square of words that is given as one vector for each row."""
    count, distance = len(rows), 1
    while distance < count:
        result = list(rows)
        low = [i - distance + count if i & distance else i for i in range(count)]
        high = [i + count if i & distance else i + distance for i in range(count)]
        for i in range(count):
            if not i & distance:
                result[i] = f.shuffle(rows[i], rows[i + distance], low)
                result[i + distance] = f.shuffle(rows[i], rows[i + distance], high)
        rows, distance = result, distance * 2
    return rows


def _rounded(f: Function, low: Value, high: Value) -> Value:
    """Rounds two vectors to bf16 and returns one after the other, two numbers to a word."""
    short = vector(bf16, 2 * low.type.lanes)
    both = f.intrinsic("llvm.x86.avx512bf16.cvtne2ps2bf16.512", short, high, low)
    return f.bitcast(both, vector(i32, low.type.lanes))


def _split(f: Function, even: Value, odd: Value) -> list[Value]:
    """Returns three words, each with 8 of the 24 bits of both numbers: cut off, rounded, and what is left.

    The three add up to the number exactly. Cut off, no number becomes infinite; rounded, what is left of many numbers,
    and so what is neglected in their products, is above as often as below 0.
    """
    words = []
    for number in range(3):
        halves = [f.bitcast(x, vector(i32, x.type.lanes)) for x in (even, odd)]
        if number == 1:
            halves = [bits + 0x8000 for bits in halves]
        words.append((halves[0] >> 16) | (halves[1] & _LEADING))
        even, odd = (x - f.bitcast(bits & _LEADING, x.type) for x, bits in zip((even, odd), halves, strict=True))
    return words
