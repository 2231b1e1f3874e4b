"""Causal attention on cooperative matrices whose scores stay in them, by what NV_cooperative_matrix2 adds.

Functions of one component scale, mask and exponentiate scores where the products have left them, reductions give the
largest of each row in every column of it, and conversions make weights the factors of the next product. See `attention`
for the method; a matrix belongs to a subgroup, and has a size that products of the device have.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Unpack

from alpha_helios.kernels.access import Elements, rounded
from alpha_helios.kernels.attention_block import Given, QueryBlock
from alpha_helios.kernels.attention_panel import COMPONENTS, WORDS, Factors, Following, Panel, PanelTile
from alpha_helios.kernels.attention_tile import LEAST, LN2, Rows, Scores, power
from alpha_helios.kernels.math import log, reciprocal
from alpha_helios.spirv.cooperative import Matrix, MatrixVariable
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.types import f32, i32
from alpha_helios.spirv.value import Value

__all__ = ["attention_coop2"]


def attention_coop2(
    k: Kernel,
    *,
    tile: PanelTile,
    dtype: str,
    nearest: bool,
    ahead: bool,
    width: int,
    lanes: int,
    **given: Unpack[Given],
) -> None:
    """Computes what `attention_coop` does, with the same arguments and grid, on products whose n is their k.

    Shared memory holds keys and values, which each subgroup reads, and a bit for each weight that may be dropped. With
    `nearest` the device is told to round to nearest where it converts to f16; else weights are rounded before.
    """
    if nearest:
        k.round_to_nearest(16)
    block = QueryBlock.of(k, tile.rows, given)
    pool = k.shared(WORDS, tile.words(width, strips=0, kept=0))
    step_words = tile.columns * tile.pitch(width)
    panels = [Panel(k, pool, place * step_words, tile.columns, tile, width, lanes) for place in range(2)]
    factors = Factors.of(k, tile, dtype, unrolled=True)
    questions = Panel(k, pool, 0, tile.rows, tile, width, lanes)
    questions.put(questions.fetch(block.query_rows, block.first, block.queries - 1, dtype))
    k.barrier()
    asked = factors.own(questions)
    met = block.key_rows, block.value_rows
    following = Following(k, panels, met, k.constant(i32, 0), block.keys - 1, dtype, ahead=ahead)
    own = block.first + k.subgroup_id * tile.strip_rows
    kept = _Kept(k, tile, block, own) if given["dropout"] else None
    softmax = [_Softmax(factors, block, own + high * tile.fragment.m) for high in range(tile.high)]
    mixed = factors.sums(width)

    with k.range_(0, block.stop, tile.columns) as start:
        k.barrier()
        following.put(start)
        if kept is not None:
            kept.put(start)
        k.barrier()
        weights = []
        for high, (rows, products) in enumerate(zip(softmax, factors.products(asked, panels[0]), strict=True)):
            made, change = rows.weights(products, start)
            for one in mixed[high]:
                one.value = one.value * change
            if kept is not None:
                made = [kept.dropped(one, high, n) for n, one in enumerate(made)]
            weights.append([_factor(k, one, dtype, rounds=nearest) for one in made])
        factors.add(weights, panels[1], mixed)

    for rows, sums in zip(softmax, mixed, strict=True):
        rows.store(sums, width)


class _Softmax:
    """The rows of one matrix: the largest score so far of each, and the sum of its weights."""

    def __init__(self, factors: Factors, block: QueryBlock, first: Value) -> None:
        """`first` is the first of the rows' queries."""
        k = self._k = factors.k
        self._block, self._first = block, first
        self._width = factors.total.columns
        self._visible = first + block.older
        self._largest = k.coop_variable(k.coop_fill(factors.total, LEAST))
        """In every column."""
        self._totals = k.coop_variable(k.coop_fill(factors.total, 0))
        """Each column has the sum of every so many weights of the row."""

    def weights(self, products: Sequence[Matrix], start: Value) -> tuple[list[Matrix], Matrix]:
        """Returns the weights of keys from `start` on, and what the sums so far are to be multiplied with."""
        k, before = self._k, self._largest.value
        scores = [self._scored(one, start + n * self._width) for n, one in enumerate(products)]
        top = k.coop_reduce(reduce(self._larger, scores), "row", k.maximum)
        now = self._larger(before, top)
        change, *weights = (self._powers(one, now) for one in (before, *scores))
        self._largest.value = now
        self._totals.value = reduce(lambda a, b: a + b, weights, self._totals.value * change)
        return weights, change

    def store(self, sums: Sequence[MatrixVariable], width: int) -> None:
        """Writes the rows of the result and log_sum_exp, as far as there are queries, from where the numbers are."""
        k, block = self._k, self._block
        totals = k.coop_reduce(self._totals.value, "row", lambda a, b: a + b)
        shares = k.coop_per_element(totals, lambda row, column, total: reciprocal(k, total))
        target, first = block.out_rows.first, block.out_rows[self._first]
        given = block.queries - self._first, first.place.address, block.out_rows.stride

        def number(row: Value, column: Value, value: Value, count: Value, address: Value, stride: Value) -> Value:
            place = Elements(Pointer(address, target.place.element, first.place.offset), target.stored)
            here = Rows(place, stride)[row]
            with k.if_((row < count) & (column < end)):
                here.store(column + begin, value)
            return value

        for n, one in enumerate(sums):
            begin = n * self._width
            end = width - begin
            k.coop_per_element(one.value * shares, number, *given)

        def logarithm(row: Value, column: Value, total: Value, largest: Value, count: Value, address: Value) -> Value:
            with k.if_((row < count) & (column == 0)):
                Pointer(address, f32)[row] = k.fma(largest, LN2, log(k, total))
            return total

        entries = block.log_sum_exp + self._first
        k.coop_per_element(totals, logarithm, self._largest.value, given[0], entries.address)

    def _scored(self, products: Matrix, start: Value) -> Matrix:
        """Makes products scores, -inf where a key is not visible; their first key is `start`."""
        k, scores = self._k, self._block.scores

        def score(row: Value, column: Value, product: Value, visible: Value, scale: Value, *cap: Value) -> Value:
            one, _ = Scores(scale, *cap or (None,)).score(k, product)
            return k.select(column <= row + visible, one, float("-inf"))

        cap = () if scores.cap is None else (scores.cap,)
        return k.coop_per_element(products, score, self._visible - start, scores.scale, *cap)

    def _larger(self, one: Matrix, other: Matrix) -> Matrix:
        k = self._k
        return k.coop_per_element(one, lambda row, column, a, b: k.maximum(a, b), other)

    def _powers(self, scores: Matrix, largest: Matrix) -> Matrix:
        k = self._k
        return k.coop_per_element(scores, lambda row, column, one, top: power(k, one - top), largest)


def _factor(k: Kernel, weights: Matrix, dtype: str, *, rounds: bool) -> Matrix:
    """Makes weights factors. Unless the conversion `rounds` to nearest, they are rounded before, and it is exact."""
    if not rounds:
        weights = k.coop_per_element(weights, lambda row, column, weight: rounded(k, weight, dtype))
    return k.coop_convert_use(weights, "a", COMPONENTS[dtype])


class _Kept:
    """Which weights of a block stay, as bits in shared memory.

    Who has a weight is up to the device, while one counter gives the words of four neighbours.
    """

    def __init__(self, k: Kernel, tile: PanelTile, block: QueryBlock, own: Value) -> None:
        """`own` is the first query of the subgroup."""
        self._k, self._tile, self._block, self._own = k, tile, block, own
        self._span, self._words = tile.span, tile.kept_words
        self._count = tile.strip_rows * self._words
        self._pool = k.shared(i32, tile.subgroups * self._count)
        self._start = k.subgroup_id * self._count

    def put(self, start: Value) -> None:
        """Writes the bits of the subgroup's rows for keys from `start` on."""
        k, block, drops = self._k, self._block, self._block.drops
        assert drops is not None
        for turn in range(0, self._count, self._tile.subgroup):
            index = k.subgroup_lane + turn
            number = block.number(self._own + index // self._words, start + index % self._words * self._span)
            bits = drops.bits(k, number, self._span)
            if self._count % self._tile.subgroup == 0:
                self._pool[self._start + index] = bits
            else:
                with k.if_(index < self._count):
                    self._pool[self._start + index] = bits

    def dropped(self, weights: Matrix, high: int, n: int) -> Matrix:
        """Returns weights after dropout: columns `n` of the block, of the subgroup's matrix `high` of rows."""
        k, drops = self._k, self._block.drops
        assert drops is not None
        first = n * weights.type.columns

        def dropped(row: Value, column: Value, weight: Value, start: Value, scale: Value) -> Value:
            key = column + first
            word = self._pool[start + (row * self._words + key // self._span)]
            return weight * k.select(((word >> (key % self._span)) & 1) == 0, 0.0, scale)

        start = self._start + high * weights.type.rows * self._words
        return k.coop_per_element(weights, dropped, start, drops.scale)
