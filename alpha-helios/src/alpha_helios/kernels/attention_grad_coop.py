"""The gradient of causal attention on cooperative matrices: factors of products in f16 or bf16, all else in f32.

See `attention_grad` for the formulas.
"""

from collections.abc import Callable, Sequence

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.attention_panel import FACTORS, GROUP, WORDS, Panel, PanelTile, Strip
from alpha_helios.kernels.attention_tile import LOG2_E, Dropout, Heads, Scores
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
    """Computes what `attention_grad` does, with the same arguments; `lanes` is 8 or 1. `unrolled` is that of
    `attention_coop`.

    Queries, keys, values, weights, `grad` and dS are rounded to `dtype`. A subgroup has the rows of one matrix: their
    numbers stay in registers, as do the sums, which limits how many subgroups a processor has; next to that it is
    shared memory, of which 24 bytes are moved for each score.
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

    pitch, padded, fragment = tile.pitch(width), tile.padded(width), tile.fragment
    pool = k.shared(WORDS, tile.words(width, panels=2, strips=2))
    block_words = tile.columns * pitch
    panels = [Panel(k, pool, place * block_words, tile.columns, tile, width, lanes) for place in range(2)]
    strips = [Strip(k, pool, 2 * block_words + place * tile.rows * tile.strip_pitch, tile) for place in range(2)]
    own = first + k.subgroup_id * tile.strip_rows
    mine = [own + row for row in strips[0].rows]

    factor = FACTORS[dtype]
    left, right = k.coop_matrix(factor, fragment.m, fragment.k, "a"), k.coop_matrix(factor, fragment.k, fragment.n, "b")
    total = k.coop_matrix(f32, fragment.m, fragment.n, "accumulator")
    held = []
    for rows in own_rows:
        panel = Panel(k, pool, 0, tile.rows, tile, width, lanes)
        k.barrier()
        panel.put(panel.fetch(rows, first, count - 1, dtype))
        k.barrier()
        start_row = k.subgroup_id * tile.strip_rows
        held.append([panel.matrix(left, start_row, d) for d in range(0, padded, fragment.k)])
    following = [
        [k.variable(part) for part in panel.fetch(rows, begin, others - 1, dtype)]
        for panel, rows in zip(panels, met_rows, strict=True)
    ]
    of_own = [] if of_keys else [per_query(i) for i in mine]
    of_met = _OfQueries(k, tile, per_query) if of_keys else None
    sums = [[k.coop_variable(k.coop_fill(total, 0)) for _ in range(0, padded, fragment.n)] for _ in targets]

    with k.range_(begin, stop, tile.columns) as start:
        k.barrier()
        for panel, rows, parts in zip(panels, met_rows, following, strict=True):
            panel.put(parts)
            for variable, part in zip(parts, panel.fetch(rows, start + tile.columns, others - 1, dtype), strict=True):
                variable.value = part
        if of_met is not None:
            of_met.put(start)
        k.barrier()
        with k.range_(0, tile.columns, fragment.n, unroll=unrolled) as column:
            for strip, panel, line in zip(strips, panels, held, strict=True):
                sum_ = k.coop_fill(total, 0)
                for d, factor_ in zip(range(0, padded, fragment.k), line, strict=True):
                    sum_ = k.coop_muladd(factor_, panel.matrix(right, column, d, "column"), sum_)
                strip.store(sum_, 0, column)
        k.subgroup_barrier()
        made: list[tuple[list[list[Value]], list[list[Value]]]] = []
        for n, (row, this) in enumerate(zip(strips[0].rows, mine, strict=True)):
            slopes: list[list[Value]] = []
            dropped: list[list[Value]] = []
            both = [strip.numbers(row) for strip in strips]
            for group, dots, dweights in zip(strips[0].groups, *both, strict=True):
                columns = [start + (group * GROUP + c) for c in range(GROUP)]
                masks = _masks(k, drops, head * queries, keys, this, columns, of_keys, strips[0].members)
                of_columns = of_met.numbers(group) if of_met is not None else [of_own[n]] * GROUP
                found = []
                for c, other in enumerate(columns):
                    i, j = (other, this) if of_keys else (this, other)
                    visible = (j <= i + older) & (i < queries) if of_keys else j <= i + older
                    found.append(scores.gradient(k, dots[c], dweights[c], of_columns[c], masks[c], visible))
                slopes.append([one for one, _ in found])
                dropped.append([one for _, one in found])
            made.append((slopes, dropped))
        k.subgroup_barrier()
        for row, values in zip(strips[0].rows, made, strict=True):
            for strip, groups in zip(strips, values[: len(targets)], strict=False):
                strip.write(row, groups, dtype)
        k.subgroup_barrier()
        with k.range_(0, tile.columns, fragment.k, unroll=unrolled) as column:
            for strip, panel, line_ in zip(strips, panels, sums, strict=False):
                weights = strip.weights(left, 0, column)
                for n, one in enumerate(line_):
                    one.value = k.coop_muladd(weights, panel.matrix(right, column, n * fragment.n), one.value)

    for one in sums[0]:
        one.value = one.value * width_scale
    for tensor, line_ in zip(target_heads, sums, strict=True):
        strips[0].copy([line_], tensor.rows(batch, head), own, count, width, lanes)


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


def _masks(
    k: Kernel,
    drops: Dropout | None,
    head_row: Value,
    keys: Value,
    this: Value,
    columns: Sequence[Value],
    of_keys: bool,
    members: int,
) -> Sequence[Value | None]:
    """Returns the masks of 8 columns of a row; neighbouring keys share the words of a counter."""
    if drops is None:
        return [None] * GROUP
    wide = k.convert(keys, i64)
    if not of_keys:
        first = k.convert(head_row + this, i64) * wide
        return [mask for half in (0, 4) for mask in drops.masks(k, first + k.convert(columns[half], i64), 4)]
    if not drops.whole:
        numbers = [k.convert(head_row + i, i64) * wide + k.convert(this, i64) for i in columns]
        return [mask for number in numbers for mask in drops.masks(k, number, 1)]
    masks: list[Value] = []
    place = this & 3
    for half in (0, 4):
        # Invocations with 4 neighbouring keys draw the words for a column each, and exchange them.
        number = k.convert(head_row + (columns[half] + place), i64) * wide + k.convert(this - place, i64)
        words = _exchanged(k, drops.words(k, k.convert(number >> 2, i32)), place, members)
        masks += [drops.mask(k, word) for word in words]
    return masks


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
