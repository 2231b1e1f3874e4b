"""Matrix products on vector registers: blocks of 6 rows by 4 vectors (2 where there are 16 registers) of sums."""

from typing import TYPE_CHECKING

from alpha_tensor.cpu.kernels.finish import Finish, Output
from alpha_tensor.cpu.llvm.types import bf16, f32, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Pointer, Value, Variable

if TYPE_CHECKING:
    from alpha_tensor.cpu.kernel import Kernel
    from alpha_tensor.cpu.target import Target

__all__ = ["LEFT_WIDTH", "ROWS", "Units", "gemm", "panel_width"]

ROWS = 6
_LINE = 16
"""Numbers in a line of the caches."""
LEFT_WIDTH = 48
"""Lines in a panel of a packed left operand: whole blocks of rows, and whole vectors."""


def panel_width(target: "Target") -> int:
    """Returns the columns in a panel of the right operand."""
    return target.lanes * (4 if target.lanes == 16 else 2)


class Units:
    """The units of work of a batch of products: a panel of columns with a run of rows.

    Runs are shorter with more threads, so that there is work for all; sums do not depend on it.
    """

    def __init__(self, k: "Kernel", rows: Value, longest: Value, panels: Value, batch: Value, grain: int) -> None:
        self.k, self._rows, self._panels = k, rows, panels
        shared = (k.parts * 3 + (panels * batch - 1)) // k.maximum(panels * batch, 1)
        runs = k.maximum((rows + (longest - 1)) // longest, k.select(k.parts == 1, k.constant(i64, 1), shared))
        self._run = k.maximum(((rows + (runs - 1)) // runs + (grain - 1)) // grain * grain, grain)
        self._runs = (rows + (self._run - 1)) // self._run
        self.count = self._runs * panels * batch

    def decode(self, unit: Value) -> tuple[Value, Value, Value, Value]:
        """Returns a unit's number of the product in the batch, its first row, its end, and its panel."""
        rest = unit // self._panels
        start = rest % self._runs * self._run
        return rest // self._runs, start, self.k.minimum(start + self._run, self._rows), unit % self._panels


def gemm(k: "Kernel", finish: Finish, words: str = "f32") -> None:
    """out = a b for a batch, on one thread's share of panels and rows.

    Arguments: out, what `Output` takes, a, b (in panels or as it is), rows, columns, steps, the longest run of rows;
    strides of a: row, step, `LEFT_WIDTH` rows; of b: step, panel; number of products, of the inner batch axis, and the
    strides of a and b along the outer and inner batch axes. Strides count words: f32 or pairs of bf16.
    """
    output = Output(k, finish)
    element = f32 if words == "f32" else i32
    a, b = k.pointer(element), k.pointer(element)
    output.take_reads()
    rows, columns, steps, longest = (k.integer() for _ in range(4))
    a_row, a_step, a_panel, b_step, b_panel = (k.integer() for _ in range(5))
    batch, batch_inner, a_outer, a_inner, b_outer, b_inner = (k.integer() for _ in range(6))
    width, lanes = panel_width(k.target), k.target.lanes
    tile = k.stack(f32, ROWS * width)
    units = Units(k, rows, longest, (columns + (width - 1)) // width, batch, LEFT_WIDTH)
    with k.share(units.count) as (start, stop), k.range_(start, stop) as unit:
        matrix, first, end, panel = units.decode(unit)
        outer, inner = matrix // batch_inner, matrix % batch_inner
        left = a + (outer * a_outer + inner * a_inner)
        right = b + (outer * b_outer + inner * b_inner + panel * b_panel)
        column = panel * width
        remaining = k.minimum(columns - column, width)
        with k.range_(first, end, ROWS) as row:
            strip = left + (row // LEFT_WIDTH * a_panel + row % LEFT_WIDTH * a_row)
            height = k.minimum(rows - row, ROWS)
            index = (matrix * rows + row) * columns + column
            # The lines of the result, which lie far apart, are on their way while sums are added up.
            for r in range(ROWS):
                for line in range(0, width, _LINE):
                    k.prefetch(output.out + (index + r * columns + column + line))
            block = _Block(k, words, strip, a_row, a_step, height, right, b_step, steps)
            with k.if_else(remaining == width) as branch:
                with branch.then:
                    sums = block.sums(width // lanes, None)
                    if finish.expression is None:
                        with k.if_else(height == ROWS) as whole:
                            with whole.then:
                                _finish(output, sums, index, columns, column)
                            with whole.otherwise:
                                _keep(k, tile, width, sums)
                    else:
                        _keep(k, tile, width, sums)
                with branch.otherwise:
                    for used in range(1, width // lanes + 1):
                        with k.if_((remaining > (used - 1) * lanes) & (remaining <= used * lanes)):
                            _keep(k, tile, width, block.sums(used, remaining))
            if finish.expression is None:
                with k.if_((remaining < width) | (height < ROWS)):
                    output.block(tile, width, index, columns, column, height, remaining)
            else:
                output.block(tile, width, index, columns, column, height, remaining)


def _finish(output: Output, sums: list[list[Value]], start: Value, row_stride: Value, column: Value) -> None:
    """Finishes a whole block straight from registers."""
    for r, vectors in enumerate(sums):
        for v, value in enumerate(vectors):
            offset = v * value.type.lanes
            output.vector(value, start + r * row_stride + offset, column + offset)


def _keep(k: "Kernel", tile: Pointer, width: int, sums: list[list[Value]]) -> None:
    """Stores a block on the stack, where `Output.block` goes on."""
    for r, vectors in enumerate(sums):
        for v, value in enumerate(vectors):
            tile.store(r * width + v * k.target.lanes, value)


class _Block:
    """The sums of `ROWS` rows by some vectors of columns."""

    def __init__(
        self,
        k: "Kernel",
        words: str,
        strip: Pointer,
        a_row: Value,
        a_step: Value,
        height: Value,
        right: Pointer,
        b_step: Value,
        steps: Value,
    ) -> None:
        self._k, self._words, self._strip, self._a_step, self._right = k, words, strip, a_step, right
        self._b_step, self._steps = b_step, steps
        # Rows past the end are the last one again: their sums are not stored.
        self._offsets = [a_row * k.minimum(height - 1, r) for r in range(ROWS)]

    def sums(self, vectors: int, columns: Value | None) -> list[list[Value]]:
        """Adds the products of all steps, in order. Of the last vector only what lies within `columns` is read."""
        k, lanes = self._k, self._k.target.lanes
        sums = [[k.variable(0.0, vector(f32, lanes)) for _ in range(vectors)] for _ in range(ROWS)]
        # Masks are slow where there are no registers for them; there panels are always packed, and wide enough.
        mask = None if columns is None or lanes < 8 else k.lane_mask(columns - (vectors - 1) * lanes, lanes)
        left = k.variable(self._strip.address)
        right = k.variable(self._right.address)
        with k.range_(0, self._steps):
            a, b = (Pointer(p.value, self._strip.element) for p in (left, right))
            loaded = [b.load(v * lanes, lanes, mask if v == vectors - 1 else None) for v in range(vectors)]
            for r in range(ROWS):
                spread = k.splat(a[self._offsets[r]], lanes)
                for v in range(vectors):
                    self._add_product(sums[r][v], spread, loaded[v])
            left.value = (a + self._a_step).address
            right.value = (b + self._b_step).address
        return [[value.value for value in row] for row in sums]

    def _add_product(self, total: Variable, a: Value, b: Value) -> None:
        k = self._k
        if self._words == "f32":
            total.value = k.fma(a, b, total.value)
            return
        pairs = vector(bf16, 2 * a.type.lanes)
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        total.value = k.intrinsic(name, total.type, total.value, k.bitcast(a, pairs), k.bitcast(b, pairs))
