"""Causal attention without the matrix of scores: softmax over blocks of keys, renormalized as a larger score appears.

Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022, "FlashAttention".
"""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.attention_tile import LARGEST_WIDTH, Dropout, Heads, Tile, exp2
from alpha_tensor.cpu.llvm.math import log, tanh
from alpha_tensor.cpu.llvm.types import f32, i32, vector
from alpha_tensor.cpu.llvm.value import Value

__all__ = ["attention"]

_LN2 = 0.6931471805599453


def attention(k: Kernel, *, soft_cap: bool, dropout: bool) -> None:
    """Writes out (B, H, Tq, D) and log_sum_exp (B, H, Tq); reads query, key, value and for dropout step and rows.

    Values: B, H, Tq, Tk, D; strides of query, key, value, out; the scale of scores, which are powers of 2; the factor
    of tanh; what `Dropout` takes. Shares are tiles of queries.
    """
    out, log_sum_exp, query, key, value = (k.pointer() for _ in range(5))
    step, sequences = (k.pointer(i32), k.pointer(i32)) if dropout else (None, None)
    batch, heads, queries, keys, width = (k.integer() for _ in range(5))
    query_heads, key_heads, value_heads, out_heads = (Heads.of(k, first) for first in (query, key, value, out))
    scale = k.number()
    cap = k.number() if soft_cap else None
    kept = Dropout.of(k, step, sequences) if step is not None and sequences is not None else None

    tile = Tile(k.target.lanes)
    packed_query, mixed = tile.scratch(k, LARGEST_WIDTH), tile.scratch(k, LARGEST_WIDTH)
    weights, keep = tile.scratch(k, tile.keys), tile.scratch(k, tile.keys)
    factors = k.stack(f32, tile.queries)
    lowest = k.constant(vector(f32, tile.lanes), float("-inf"))
    zero = k.constant(vector(f32, tile.lanes), 0.0)
    tiles = (queries + (tile.queries - 1)) // tile.queries

    with k.range_(k.part, batch * heads * tiles, k.parts) as unit:
        pair = unit // tiles
        b, h = pair // heads, pair % heads
        # Later tiles see more keys: every second head counts backwards, so that the parts get equal work.
        place = unit % tiles
        start = k.select((pair & 1) == 0, place, tiles - 1 - place) * tile.queries
        count = k.minimum(queries - start, tile.queries)
        last_key = start + (keys - queries)  # the last that the first query sees
        key_rows, value_rows = key_heads.rows(b, h), value_heads.rows(b, h)

        tile.pack(k, query_heads.rows(b, h).after(start), count, width, packed_query, scale)
        tile.fill(k, mixed, width, 0.0)
        largest = [k.variable(lowest) for _ in range(tile.vectors)]
        total = [k.variable(zero) for _ in range(tile.vectors)]

        with k.range_(0, last_key + count, tile.keys) as first:
            block = k.minimum(last_key + count - first, tile.keys)
            if kept is not None:
                kept.fill(k, tile, keep, b, h * queries + start, keys, first, block)
            before = [variable.value for variable in largest]

            def scores(j: Value, masked: bool) -> None:
                rows = tile.products(k, key_rows, first + j, keys - 1, width, packed_query)
                for r, row in enumerate(rows):
                    if cap is not None:
                        row = [tanh(k, score) * cap for score in row]
                    if masked:
                        visible = tile.visible(k, last_key, first + j + r)
                        row = [k.select(seen, score, lowest) for seen, score in zip(visible, row, strict=True)]
                    tile.store(weights[j + r], row)
                    for variable, score in zip(largest, row, strict=True):
                        variable.value = k.select(score > variable.value, score, variable.value)

            # Groups of keys that all queries see need no mask.
            clear = k.minimum(k.maximum(last_key + 1 - first, 0), block) // tile.group * tile.group
            with k.range_(0, clear, tile.group) as j:
                scores(j, masked=False)
            with k.range_(clear, block, tile.group) as j:
                scores(j, masked=True)

            now = [variable.value for variable in largest]
            changes = [exp2(k, old - new) for old, new in zip(before, now, strict=True)]
            for variable, change in zip(total, changes, strict=True):
                variable.value = variable.value * change
            with k.range_(0, block, tile.group) as j:
                for r in range(tile.group):
                    row = [exp2(k, score - top) for score, top in zip(tile.load(weights[j + r]), now, strict=True)]
                    for variable, weight in zip(total, row, strict=True):
                        variable.value = variable.value + weight
                    if kept is not None:
                        row = [weight * stays for weight, stays in zip(row, tile.load(keep[j + r]), strict=True)]
                    tile.store(weights[j + r], row)
            tile.mix(k, weights, value_rows.after(first), block, width, mixed, changes)

        sums = [variable.value for variable in total]
        tile.store(factors, [1.0 / denominator for denominator in sums])
        tile.unpack(k, mixed, factors, count, width, out_heads.rows(b, h).after(start))
        entries = log_sum_exp + (pair * queries + start)
        for v, (top, denominator) in enumerate(zip(largest, sums, strict=True)):
            result = k.fma(top.value, _LN2, log(k, denominator))
            entries.store(v * tile.lanes, result, k.lane_mask(count - v * tile.lanes, tile.lanes))
