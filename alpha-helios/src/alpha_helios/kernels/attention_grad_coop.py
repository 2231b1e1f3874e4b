"""The gradient of causal attention on cooperative matrices: factors of products in f16 or bf16, all else in f32.

See `attention_grad` for the formulas.
"""

from collections.abc import Callable, Sequence

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.attention_panel import GROUP, WORDS, Factors, Following, Panel, PanelTile, Strip
from alpha_helios.kernels.attention_tile import LOG2_E, Dropout, Heads, Scores
from alpha_helios.spirv.cooperative import Matrix
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["attention_grad_coop"]


def attention_grad_coop(
    k: Kernel,
    *,
    of_keys: bool,
    tile: PanelTile,
    dtype: str,
    unrolled: bool,
    ahead: bool,
    held: bool,
    width: int,
    lanes: int,
    results: str,
    grad: str,
    query: str,
    key: str,
    value: str,
    soft_cap: bool,
    dropout: bool,
    whole: bool,
) -> None:
    """Computes what `attention_grad` does, with the same arguments; `lanes` is 8 or 1. `unrolled` and `ahead` are
    those of `attention_coop`.

    Queries, keys, values, weights, `grad` and dS are rounded to `dtype`. A subgroup has the rows of one matrix, which
    are `held` in registers or stay in shared memory. Registers limit how many subgroups a processor has, for the sums
    are there as well; next to that it is shared memory, of which 24 bytes are moved for each score.
    """
    targets = [elements(k, results) for _ in range(2 if of_keys else 1)]
    sources = [elements(k, stored, readonly=True) for stored in (grad, query, key, value)]
    statistics = [k.pointer(readonly=True) for _ in range(2)]
    step, sequences = (k.pointer(i32, readonly=True) for _ in range(2)) if dropout else (None, None)
    pairs, heads, queries, keys = (k.integer() for _ in range(4))
    target_heads = [Heads.of(k, first) for first in targets]
    all_heads = [Heads.of(k, first) for first in sources]
    scores, width_scale = Scores.of(k, soft_cap), k.number()
    count, others = (keys, queries) if of_keys else (queries, keys)
    blocks = (count + (tile.rows - 1)) // tile.rows
    index = linear_group(k)
    with k.if_(index >= pairs * blocks):
        k.return_()
    pair, block = index // blocks, index % blocks
    batch, head = pair // heads, pair % heads
    drops = Dropout.of(k, whole, sequences, step, batch)
    older = keys - queries
    entries = [one + k.convert(pair, i64) * k.convert(queries, i64) for one in statistics]

    def per_query(i: Value) -> tuple[Value, Value]:
        """log_sum_exp as an exponent of 2, and the sum over the row."""
        here = k.minimum(i, queries - 1)
        return entries[0][here] * LOG2_E, entries[1][here]

    of_grad, of_query, of_key, of_value = (one.rows(batch, head) for one in all_heads)
    if of_keys:
        first = block * tile.rows
        own_rows, met_rows = (of_key, of_value), (of_query, of_grad)
        begin, stop = k.maximum(first - older, 0), queries
    else:
        first = (blocks - 1 - block) * tile.rows
        own_rows, met_rows = (of_query, of_grad), (of_key, of_value)
        begin, stop = k.constant(i32, 0), k.minimum(first + tile.rows, queries) + older

    step_words = tile.columns * tile.pitch(width)
    pool = k.shared(WORDS, tile.words(width, strips=2, kept=0 if held else 2))
    panels = [Panel(k, pool, place * step_words, tile.columns, tile, width, lanes) for place in range(2)]
    strips = [Strip(k, pool, 2 * step_words + place * tile.rows * tile.strip_pitch, tile) for place in range(2)]
    factors = Factors.of(k, tile, dtype, unrolled=unrolled)
    kept = 2 * step_words + 2 * tile.rows * tile.strip_pitch
    mine: list[Panel | list[list[Matrix]]] = []
    for place, rows in enumerate(own_rows):
        begins = 0 if held else kept + place * tile.rows * tile.pitch(width)
        panel = Panel(k, pool, begins, tile.rows, tile, width, lanes)
        k.barrier()
        panel.put(panel.fetch(rows, first, count - 1, dtype))
        k.barrier()
        mine.append(factors.own(panel) if held else panel)
    following = Following(k, panels, met_rows, begin, others - 1, dtype, ahead=ahead)
    own = first + k.subgroup_id * tile.strip_rows
    slopes = _Slopes(k, strips, scores, drops, [own + row for row in strips[0].rows], head, queries, keys)
    of_met = _OfQueries(k, tile, per_query) if of_keys else None
    of_own = [] if of_keys else [per_query(i) for i in slopes.rows]
    sums = [factors.sums(width) for _ in targets]

    with k.range_(begin, stop, tile.columns) as start:
        k.barrier()
        following.put(start)
        if of_met is not None:
            of_met.put(start)
        k.barrier()
        for strip, panel, ours in zip(strips, panels, mine, strict=True):
            factors.multiply(ours, panel, strip)
        k.subgroup_barrier()
        made = slopes.of_columns(start, of_met) if of_met is not None else slopes.of_rows(start, of_own)
        k.subgroup_barrier()
        for row, groups in zip(strips[0].rows, made, strict=True):
            for place, strip in enumerate(strips[: len(targets)]):
                strip.write(row, [[both[place] for both in group] for group in groups], dtype)
        k.subgroup_barrier()
        for strip, panel, total in zip(strips, panels, sums, strict=False):
            factors.mix(strip, panel, total)

    for one in sums[0][0]:
        one.value = one.value * width_scale
    for tensor, total in zip(target_heads, sums, strict=True):
        strips[0].copy(total, tensor.rows(batch, head), own, count, width, lanes)


Both = tuple[Value, Value]


class _Slopes:
    """dS, and weights after dropout, of the rows of an invocation."""

    def __init__(
        self,
        k: Kernel,
        strips: Sequence[Strip],
        scores: Scores,
        drops: Dropout | None,
        rows: Sequence[Value],
        head: Value,
        queries: Value,
        keys: Value,
    ) -> None:
        self._k, self._strips, self._scores, self._drops = k, strips, scores, drops
        self.rows = rows
        self._queries, self._older, self._keys = queries, keys - queries, k.convert(keys, i64)
        self._head_row = head * queries

    def of_rows(self, start: Value, of_own: Sequence[Both]) -> list[list[list[Both]]]:
        """Of queries, whose numbers are `of_own`, and keys from `start` on; by row and group."""

        def group(n: int, columns: Sequence[Value], dots: Sequence[Value], dweights: Sequence[Value]) -> list[Both]:
            k, i, masks = self._k, self.rows[n], self._key_masks(self.rows[n], columns)
            visible = i + self._older - columns[0]  # the last one of the group
            return [
                self._scores.gradient(k, dots[c], dweights[c], of_own[n], masks[c], visible >= c) for c in range(GROUP)
            ]

        return self._groups(start, lambda n, place, columns, dots, dweights: group(n, columns, dots, dweights))

    def of_columns(self, start: Value, of_met: "_OfQueries") -> list[list[list[Both]]]:
        """Of keys and queries from `start` on, whose numbers are `of_met`; by row and group."""

        def group(
            n: int, place: Value, columns: Sequence[Value], dots: Sequence[Value], dweights: Sequence[Value]
        ) -> list[Both]:
            k, j, numbers = self._k, self.rows[n], of_met.numbers(place)
            masks = self._query_masks(j, columns)
            return [
                self._scores.gradient(
                    k,
                    dots[c],
                    dweights[c],
                    numbers[c],
                    masks[c],
                    (j <= columns[c] + self._older) & (columns[c] < self._queries),
                )
                for c in range(GROUP)
            ]

        return self._groups(start, group)

    def _groups(
        self,
        start: Value,
        make: Callable[[int, Value, Sequence[Value], Sequence[Value], Sequence[Value]], list[Both]],
    ) -> list[list[list[Both]]]:
        """Reads products and gradients of weights row by row; `make` gets a row, a group, its columns and those two."""
        found = []
        for n, row in enumerate(self._strips[0].rows):
            dots, dweights = (strip.numbers(row) for strip in self._strips)
            found.append(
                [
                    make(n, group, [start + (group * GROUP + c) for c in range(GROUP)], dots[place], dweights[place])
                    for place, group in enumerate(self._strips[0].groups)
                ]
            )
        return found

    def _key_masks(self, i: Value, columns: Sequence[Value]) -> Sequence[Value | None]:
        """Returns the masks of a query and 8 keys."""
        if self._drops is None:
            return [None] * GROUP
        k, drops = self._k, self._drops
        number = k.convert(self._head_row + i, i64) * self._keys + k.convert(columns[0], i64)
        return [mask for half in (0, 4) for mask in drops.masks(k, number + half, 4)]

    def _query_masks(self, j: Value, columns: Sequence[Value]) -> Sequence[Value | None]:
        """Returns the masks of a key and 8 queries. Neighbouring keys share the words of a counter, if they can."""
        if self._drops is None:
            return [None] * GROUP
        k, drops = self._k, self._drops
        lines = [k.convert(self._head_row + i, i64) * self._keys for i in columns]
        if not drops.whole:
            return [mask for line in lines for mask in drops.masks(k, line + k.convert(j, i64), 1)]
        masks: list[Value] = []
        place = j & 3
        for half in (0, 4):
            # Invocations with 4 neighbouring keys draw the words for a column each, and exchange them.
            line = k.convert(self._head_row + (columns[half] + place), i64) * self._keys
            words = drops.words(k, k.convert((line + k.convert(j - place, i64)) >> 2, i32))
            masks += [drops.mask(k, word) for word in _exchanged(k, words, place, self._strips[0].members)]
        return masks


class _OfQueries:
    """Two numbers of each query of a block, in shared memory."""

    def __init__(self, k: Kernel, tile: PanelTile, per_query: Callable[[Value], tuple[Value, Value]]) -> None:
        self._k, self._per_query = k, per_query
        self._shared = [k.shared(f32, tile.columns) for _ in range(2)]
        self._columns = [k.local_index + first for first in range(0, tile.columns, k.invocations)]
        self._count = tile.columns

    def put(self, start: Value) -> None:
        """Brings the numbers of the queries from `start` on."""
        for column in self._columns:
            with self._k.if_(column < self._count):
                for shared, number in zip(self._shared, self._per_query(start + column), strict=True):
                    shared[column] = number

    def numbers(self, group: Value) -> list[tuple[Value, Value]]:
        """Reads the numbers of 8 queries."""
        first, second = self._shared
        return [(first[group * GROUP + c], second[group * GROUP + c]) for c in range(GROUP)]


def _exchanged(k: Kernel, words: Sequence[Value], place: Value, apart: int) -> list[Value]:
    """Returns of 4 invocations that stand `apart` the word with the number of this one's `place` among them."""
    result = list(words)
    for bit in (1, 2):
        upper = (place & bit) != 0
        for low in (n for n in range(4) if not n & bit):
            a, b = result[low], result[low | bit]
            other = k.subgroup_shuffle_xor(k.select(upper, a, b), bit * apart)
            result[low], result[low | bit] = k.select(upper, other, a), k.select(upper, b, other)
    return result
