"""Causal attention on cooperative matrices: factors of products in f16 or bf16, softmax and sums in f32.

See `attention` for the method.
"""

from functools import reduce

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.attention_panel import FACTORS, GROUP, WORDS, Panel, PanelTile, Strip, among
from alpha_helios.kernels.attention_tile import Dropout, Heads, Scores, power
from alpha_helios.kernels.math import log, reciprocal
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["attention_coop"]

_LN2 = 0.6931471805599453
_LEAST = -3.4028234663852886e38
"""Stands for the largest of no scores; unlike -inf it can be subtracted from -inf."""
_SLACK = 8.0
"""As an exponent of 2, how far scores may exceed what they are compared with before the sums are scaled anew."""


def attention_coop(
    k: Kernel,
    *,
    tile: PanelTile,
    dtype: str,
    unrolled: bool,
    width: int,
    lanes: int,
    out: str,
    query: str,
    key: str,
    value: str,
    soft_cap: bool,
    dropout: bool,
    whole: bool,
) -> None:
    """Computes what `attention` does, with the same arguments; `lanes` is 8 or 1.

    Queries, keys, values and weights are rounded to `dtype`. `unrolled` asks the driver for code without loops within a
    block, which takes it long. Grid: a workgroup for each block of queries.

    Shared memory limits it: for each score it moves 12 bytes, and each subgroup reads all keys and values.
    """
    target, log_sum_exp = elements(k, out), k.pointer()
    sources = [elements(k, stored, readonly=True) for stored in (query, key, value)]
    step, sequences = (k.pointer(i32, readonly=True) for _ in range(2)) if dropout else (None, None)
    pairs, heads, queries, keys = (k.integer() for _ in range(4))
    query_heads, key_heads, value_heads, out_heads = (Heads.of(k, first) for first in (*sources, target))
    scores = Scores.of(k, soft_cap)
    blocks = (queries + (tile.rows - 1)) // tile.rows
    index = linear_group(k)
    with k.if_(index >= pairs * blocks):
        k.return_()
    pair, first = index // blocks, (blocks - 1 - index % blocks) * tile.rows
    batch, head = pair // heads, pair % heads
    drops = Dropout.of(k, whole, sequences, step, batch)
    older, last = keys - queries, keys - 1

    pitch, padded = tile.pitch(width), tile.padded(width)
    pool = k.shared(WORDS, tile.words(width, panels=2, strips=1))
    questions = Panel(k, pool, 0, tile.rows, tile, width, lanes)
    panels = [Panel(k, pool, place * tile.columns * pitch, tile.columns, tile, width, lanes) for place in range(2)]
    strip = Strip(k, pool, 2 * tile.columns * pitch, tile)
    own = first + k.subgroup_id * tile.strip_rows
    mine = [own + row for row in strip.rows]

    factor, fragment = FACTORS[dtype], tile.fragment
    left, right = k.coop_matrix(factor, fragment.m, fragment.k, "a"), k.coop_matrix(factor, fragment.k, fragment.n, "b")
    total = k.coop_matrix(f32, fragment.m, fragment.n, "accumulator")
    questions.put(questions.fetch(query_heads.rows(batch, head), first, queries - 1, dtype))
    k.barrier()
    asked = [
        [
            questions.matrix(left, k.subgroup_id * tile.strip_rows + high * fragment.m, d)
            for d in range(0, padded, fragment.k)
        ]
        for high in range(tile.high)
    ]
    met = key_heads.rows(batch, head), value_heads.rows(batch, head)
    following = [
        [k.variable(part) for part in panel.fetch(rows, k.constant(i32, 0), last, dtype)]
        for panel, rows in zip(panels, met, strict=True)
    ]
    largest = [k.variable(_LEAST, f32) for _ in mine]
    totals = [k.variable(0.0, f32) for _ in mine]
    mixed = [[k.coop_variable(k.coop_fill(total, 0)) for _ in range(0, padded, fragment.n)] for _ in range(tile.high)]

    with k.range_(0, k.minimum(first + tile.rows, queries) + older, tile.columns) as start:
        k.barrier()
        for panel, rows, parts in zip(panels, met, following, strict=True):
            panel.put(parts)
            for variable, part in zip(parts, panel.fetch(rows, start + tile.columns, last, dtype), strict=True):
                variable.value = part
        k.barrier()
        with k.range_(0, tile.columns, fragment.n, unroll=unrolled) as column:
            sums = [k.coop_fill(total, 0) for _ in range(tile.high)]
            for d in range(0, padded, fragment.k):
                other = panels[0].matrix(right, column, d, "column")
                sums = [
                    k.coop_muladd(line[d // fragment.k], other, sum_) for line, sum_ in zip(asked, sums, strict=True)
                ]
            for high, sum_ in enumerate(sums):
                strip.store(sum_, high, column)
        k.subgroup_barrier()
        weighed: list[list[list[Value]]] = []
        changes: list[Value] = []
        for n, (row, i) in enumerate(zip(strip.rows, mine, strict=True)):
            groups = []
            for group, numbers in zip(strip.groups, strip.numbers(row), strict=True):
                j = start + group * GROUP
                capped = [scores.score(k, number)[0] for number in numbers]
                groups.append([k.select(j + c <= i + older, one, float("-inf")) for c, one in enumerate(capped)])
            top = reduce(k.maximum, (one for group in groups for one in group))
            top = among(k, strip.members, k.maximum, top)
            before = largest[n].value
            now = k.select(top > before + _SLACK, top, before)
            change = power(k, before - now)
            weights = [[power(k, one - now) for one in group] for group in groups]
            largest[n].value = now
            totals[n].value = reduce(
                lambda a, b: a + b, (one for group in weights for one in group), totals[n].value * change
            )
            if drops is not None:
                line = k.convert(head * queries + i, i64) * k.convert(keys, i64)
                for group, numbers in zip(strip.groups, weights, strict=True):
                    for half in (0, 4):
                        number = line + k.convert(start + group * GROUP + half, i64)
                        masks = drops.masks(k, number, 4)
                        numbers[half : half + 4] = [a * b for a, b in zip(numbers[half : half + 4], masks, strict=True)]
            weighed.append(weights)
            changes.append(change)
        k.subgroup_barrier()
        anew = k.subgroup_any(reduce(lambda a, b: a | b, (change != 1.0 for change in changes)))
        for row, weights in zip(strip.rows, weighed, strict=True):
            strip.write(row, weights, dtype)
        with k.if_(anew):
            for row, change in zip(strip.rows, changes, strict=True):
                strip.spread(row, change)
        k.subgroup_barrier()  # in no branch: some devices have the whole workgroup wait here
        with k.if_(anew):
            strip.scale(mixed)
        with k.range_(0, tile.columns, fragment.k, unroll=unrolled) as column:
            seen = [strip.weights(left, high, column) for high in range(tile.high)]
            for d in range(0, padded, fragment.n):
                other = panels[1].matrix(right, column, d)
                for weights_, line_ in zip(seen, mixed, strict=True):
                    line_[d // fragment.n].value = k.coop_muladd(weights_, other, line_[d // fragment.n].value)

    k.subgroup_barrier()
    entries = log_sum_exp + k.convert(pair, i64) * k.convert(queries, i64)
    for row, i, top_, total_ in zip(strip.rows, mine, largest, totals, strict=True):
        sum_of_weights = among(k, strip.members, lambda a, b: a + b, total_.value)
        strip.spread(row, reciprocal(k, sum_of_weights))
        with k.if_((i < queries) & (strip.member == 0)):
            entries[i] = k.fma(top_.value, _LN2, log(k, sum_of_weights))
    k.subgroup_barrier()
    strip.scale(mixed)
    strip.copy(mixed, out_heads.rows(batch, head), own, queries, width, lanes)
