"""Causal attention with products of bf16 numbers on tile registers; softmax and sums are those of f32.

Queries, keys, values and weights are rounded to bf16. See `attention` for the method.
"""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.attention_tile import LARGEST_WIDTH, Dropout, Heads, Rows, Tile, exp2
from alpha_tensor.cpu.kernels.bf16_tiles import (
    BLOCK,
    TileProducts,
    interleaved,
    pack_columns,
    pack_pairs_across,
    pack_rows,
    whole_blocks,
)
from alpha_tensor.cpu.llvm.math import log, tanh
from alpha_tensor.cpu.llvm.types import f32, i32, vector
from alpha_tensor.cpu.llvm.value import Value

__all__ = ["attention_bf16", "attention_bf16_words"]

_LN2 = 0.6931471805599453
_ROWS = 4
"""Keys whose weights are computed side by side."""


def attention_bf16_words(keys: int, width: int) -> int:
    """Returns the 4-byte words of workspace for one part: keys and values in bf16."""
    return -(-keys // BLOCK) * BLOCK * -(-width // BLOCK) * BLOCK


def attention_bf16(k: Kernel, *, soft_cap: bool, dropout: bool) -> None:
    """Writes out (B, H, Tq, D), log_sum_exp (B, H, Tq) and the workspace; values begin with the number of parts that
    there is workspace for. The other arguments are those of `attention`. Shares are heads.
    """
    out, log_sum_exp = k.pointer(), k.pointer()
    workspace = k.pointer(i32)
    query, key, value = (k.pointer() for _ in range(3))
    step, sequences = (k.pointer(i32), k.pointer(i32)) if dropout else (None, None)
    slots = k.integer()
    batch, heads, queries, keys, width = (k.integer() for _ in range(5))
    query_heads, key_heads, value_heads, out_heads = (Heads.of(k, first) for first in (query, key, value, out))
    scale = k.number()
    cap = k.number() if soft_cap else None
    unit = scale if cap is None else k.constant(f32, 1.0)  # with a cap, scores are scaled before its tanh
    kept = Dropout.of(k, step, sequences) if step is not None and sequences is not None else None

    tile = Tile(k.target.lanes, vectors=2, keys=128)
    packed_query = tile.scratch(k, LARGEST_WIDTH // 2, i32)
    mixed, scores, keep = (tile.scratch(k, rows) for rows in (LARGEST_WIDTH, tile.keys, tile.keys))
    weights = tile.scratch(k, tile.keys // 2, i32)
    factors = k.stack(f32, tile.queries)
    lowest = k.constant(vector(f32, tile.lanes), float("-inf"))
    zero = k.constant(vector(f32, tile.lanes), 0.0)
    tiles = TileProducts(k)
    all_keys, whole_width = whole_blocks(keys), whole_blocks(width)
    columns, across = whole_width // BLOCK, tile.queries // BLOCK

    pairs = batch * heads
    with k.range_(k.select(k.part < slots, k.part, pairs), pairs, k.minimum(k.parts, slots)) as pair:
        b, h = pair // heads, pair % heads
        head_space = workspace + k.part * all_keys * whole_width
        key_rows = Rows(head_space, whole_width // 2)
        value_columns = Rows(head_space + all_keys * whole_width // 2, all_keys // 2)
        pack_rows(k, key_heads.rows(b, h), keys, width, key_rows)
        pack_columns(k, value_heads.rows(b, h), keys, width, value_columns)

        with k.range_(0, queries, tile.queries) as start:
            count = k.minimum(queries - start, tile.queries)
            last_key = start + (keys - queries)  # the last that the first query sees
            pack_pairs_across(k, query_heads.rows(b, h).after(start), count, width, packed_query, tile.queries)
            largest = [k.variable(lowest) for _ in range(tile.vectors)]
            total = [k.variable(zero) for _ in range(tile.vectors)]

            with k.range_(0, last_key + count, tile.keys) as first:
                block = whole_blocks(k.minimum(last_key + count - first, tile.keys))
                tiles.add(scores, key_rows.after(first), packed_query, (block // BLOCK, across, columns), 0)
                if kept is not None:
                    kept.fill(k, tile, keep, b, h * queries + start, keys, first, block)
                before = [variable.value for variable in largest]

                def compare(j: Value, masked: bool) -> None:
                    for r in range(_ROWS):
                        row = tile.load(scores[j + r])
                        if cap is not None:
                            row = [tanh(k, score * scale) * cap for score in row]
                        if masked:
                            visible = tile.visible(k, last_key, first + j + r)
                            row = [k.select(seen, score, lowest) for seen, score in zip(visible, row, strict=True)]
                        if masked or cap is not None:
                            tile.store(scores[j + r], row)
                        for variable, score in zip(largest, row, strict=True):
                            variable.value = k.select(score > variable.value, score, variable.value)

                clear = k.minimum(k.maximum(last_key + 1 - first, 0), block) // _ROWS * _ROWS
                with k.range_(0, clear, _ROWS) as j:
                    compare(j, masked=False)
                with k.range_(clear, block, _ROWS) as j:
                    compare(j, masked=True)

                now = [variable.value * unit for variable in largest]
                changes = [exp2(k, k.fma(old, unit, -new)) for old, new in zip(before, now, strict=True)]
                for variable, change in zip(total, changes, strict=True):
                    variable.value = variable.value * change
                with k.range_(0, block, _ROWS) as j:
                    rows = []
                    for r in range(_ROWS):
                        raw = tile.load(scores[j + r])
                        row = [exp2(k, k.fma(score, unit, -top)) for score, top in zip(raw, now, strict=True)]
                        for variable, weight in zip(total, row, strict=True):
                            variable.value = variable.value + weight
                        if kept is not None:
                            row = [weight * stays for weight, stays in zip(row, tile.load(keep[j + r]), strict=True)]
                        rows.append(row)
                    for r in range(0, _ROWS, 2):
                        words = [interleaved(k, even, odd) for even, odd in zip(rows[r], rows[r + 1], strict=True)]
                        tile.store(weights[j // 2 + r // 2], words)
                with k.if_(first > 0), k.range_(0, width) as d:
                    renewed = [old * change for old, change in zip(tile.load(mixed[d]), changes, strict=True)]
                    tile.store(mixed[d], renewed)
                visible_values = Rows(value_columns.first + first // 2, value_columns.stride)
                tiles.add(mixed, visible_values, weights, (columns, across, block // BLOCK), first)

            sums = [variable.value for variable in total]
            tile.store(factors, [1.0 / denominator for denominator in sums])
            tile.unpack(k, mixed, factors, count, width, out_heads.rows(b, h).after(start))
            entries = log_sum_exp + (pair * queries + start)
            for v, (top, denominator) in enumerate(zip(largest, sums, strict=True)):
                result = k.fma(top.value * unit, _LN2, log(k, denominator))
                entries.store(v * tile.lanes, result, k.lane_mask(count - v * tile.lanes, tile.lanes))
    tiles.release()
