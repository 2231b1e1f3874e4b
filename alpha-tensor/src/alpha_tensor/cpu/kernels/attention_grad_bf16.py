"""Gradients of causal attention with products of bf16 numbers on tile registers; see `attention_grad` for the formulas.

Queries, keys, values, gradients, weights and the gradients of scores are rounded to bf16; sums are those of f32.
"""

from collections.abc import Sequence

import attrs

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.attention_grad import row_products
from alpha_tensor.cpu.kernels.attention_tile import LARGEST_WIDTH, Dropout, Heads, Rows, Tile, exp2
from alpha_tensor.cpu.kernels.bf16_tiles import (
    BLOCK,
    TileProducts,
    interleaved,
    joined,
    pack_columns,
    pack_pairs_across,
    pack_pairs_along,
    pack_rows,
    whole_blocks,
)
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.math import tanh
from alpha_tensor.cpu.llvm.types import f32, i32, vector
from alpha_tensor.cpu.llvm.value import Pointer, Value

__all__ = ["attention_grad_bf16", "attention_grad_bf16_words"]

_LOG2_E = 1.4426950408889634
_ROWS = 2
"""Keys whose weights are computed side by side."""
_WORDS = 7
"""Halves of a word for each number of a head: keys twice and values in bf16, gradients of keys and values in f32."""


def attention_grad_bf16_words(keys: int, width: int) -> int:
    """Returns the 4-byte words of workspace for one part."""
    return -(-keys // BLOCK) * BLOCK * -(-width // BLOCK) * BLOCK * _WORDS // 2


def attention_grad_bf16(k: Kernel, *, soft_cap: bool, dropout: bool) -> None:
    """Writes dquery, dkey, dvalue and the workspace; values begin with the number of parts that there is
    workspace for. The other arguments are those of `attention_grad`. Shares are heads.
    """
    dquery, dkey, dvalue = (k.pointer() for _ in range(3))
    workspace = k.pointer(i32)
    grad, query, key, value, out, log_sum_exp = (k.pointer() for _ in range(6))
    step, sequences = (k.pointer(i32), k.pointer(i32)) if dropout else (None, None)
    slots = k.integer()
    batch, heads, queries, keys, width = (k.integer() for _ in range(5))
    strided = [Heads.of(k, first) for first in (dquery, dkey, dvalue, grad, query, key, value, out)]
    scale, width_scale = k.number(), k.number()
    cap = k.number() if soft_cap else None
    kept = Dropout.of(k, step, sequences) if step is not None and sequences is not None else None

    tile = Tile(k.target.lanes, vectors=4, keys=64)
    whole_width = whole_blocks(width)
    scratch = _Scratch.of(k, tile, whole_width)
    tiles = TileProducts(k)
    size = whole_blocks(keys) * whole_width
    columns, across = whole_width // BLOCK, tile.queries // BLOCK

    pairs = batch * heads
    with k.range_(k.select(k.part < slots, k.part, pairs), pairs, k.minimum(k.parts, slots)) as pair:
        b, h = pair // heads, pair % heads
        dquery_rows, dkey_rows, dvalue_rows, grad_rows, query_rows, key_rows, value_rows, out_rows = (
            tensor.rows(b, h) for tensor in strided
        )
        space = workspace + k.part * (size * _WORDS // 2)
        packed_keys, packed_values = (Rows(space + size // 2 * i, whole_width // 2) for i in range(2))
        key_columns = Rows(space + size, whole_blocks(keys) // 2)
        key_sums, value_sums = (Rows((space + (size // 2 * 3 + size * i)).cast(f32), whole_width) for i in range(2))
        pack_rows(k, key_rows, keys, width, packed_keys)
        pack_rows(k, value_rows, keys, width, packed_values)
        pack_columns(k, key_rows, keys, width, key_columns)
        with k.range_(0, 2 * size, tile.lanes) as place:
            key_sums.first.store(place, k.constant(vector(f32, tile.lanes), 0.0))

        with k.range_(0, queries, tile.queries) as start:
            count = k.minimum(queries - start, tile.queries)
            last_key = start + (keys - queries)  # the last that the first query sees
            grads, selves = grad_rows.after(start), query_rows.after(start)
            pack_pairs_across(k, selves, count, width, scratch.columns_query, tile.queries)
            pack_pairs_across(k, grads, count, width, scratch.columns_grad, tile.queries)
            pack_pairs_along(k, selves, count, width, scratch.rows_query, tile.queries, width_scale)
            pack_pairs_along(k, grads, count, width, scratch.rows_grad, tile.queries, 1.0)
            row_products(k, tile, grads, out_rows.after(start), count, width, scratch.row_products)
            with k.range_(0, tile.queries) as i:
                entry = log_sum_exp[pair * queries + start + k.minimum(i, count - 1)] * _LOG2_E
                scratch.log_sum_exp[i] = k.select(i < count, entry, float("inf"))  # so that others weigh nothing

            with k.range_(0, last_key + count, tile.keys) as first:
                block = whole_blocks(k.minimum(last_key + count - first, tile.keys))
                rows = block // BLOCK
                tiles.add(scratch.scores, packed_keys.after(first), scratch.columns_query, (rows, across, columns), 0)
                tiles.add(
                    scratch.dweights, packed_values.after(first), scratch.columns_grad, (rows, across, columns), 0
                )
                if kept is not None:
                    kept.fill(k, tile, scratch.keep, b, h * queries + start, keys, first, block)

                def weigh(j: Value, masked: bool) -> None:
                    tops, means = tile.load(scratch.log_sum_exp), tile.load(scratch.row_products)
                    slopes_of_rows = []
                    for r in range(_ROWS):
                        row, dweights = tile.load(scratch.scores[j + r]), tile.load(scratch.dweights[j + r])
                        slopes = None
                        if cap is not None:
                            bent = [tanh(k, score * scale) for score in row]
                            slopes = [1.0 - slope * slope for slope in bent]
                            row = [exp2(k, score * cap - top) for score, top in zip(bent, tops, strict=True)]
                        else:
                            row = [exp2(k, k.fma(score, scale, -top)) for score, top in zip(row, tops, strict=True)]
                        if masked:
                            visible = tile.visible(k, last_key, first + j + r)
                            row = [k.select(seen, weight, 0.0) for seen, weight in zip(visible, row, strict=True)]
                        sloped = row if slopes is None else [w * slope for w, slope in zip(row, slopes, strict=True)]
                        if kept is not None:
                            stays = tile.load(scratch.keep[j + r])
                            row = [weight * stay for weight, stay in zip(row, stays, strict=True)]
                            dweights = [dweight * stay for dweight, stay in zip(dweights, stays, strict=True)]
                        _store_rounded(k, tile, scratch.weights[j + r], row)
                        slopes_of_rows.append(
                            [w * (dweight - mean) for w, dweight, mean in zip(sloped, dweights, means, strict=True)]
                        )
                    for r, row in enumerate(slopes_of_rows):
                        _store_rounded(k, tile, scratch.dscores[j + r], row)
                    pairs = [interleaved(k, even, odd) for even, odd in zip(*slopes_of_rows, strict=True)]
                    tile.store(scratch.dscore_pairs[j // 2], pairs)

                clear = k.minimum(k.maximum(last_key + 1 - first, 0), block) // _ROWS * _ROWS
                with k.range_(0, clear, _ROWS) as j:
                    weigh(j, masked=False)
                with k.range_(clear, block, _ROWS) as j:
                    weigh(j, masked=True)

                tiles.add(value_sums.after(first), scratch.weights, scratch.rows_grad, (rows, columns, across), 1)
                tiles.add(key_sums.after(first), scratch.dscores, scratch.rows_query, (rows, columns, across), 1)
                seen_keys = Rows(key_columns.first + first // 2, key_columns.stride)
                tiles.add(scratch.dquery, seen_keys, scratch.dscore_pairs, (columns, across, rows), first)

            for v in range(tile.vectors):
                scratch.factors.store(v * tile.lanes, k.splat(width_scale, tile.lanes))
            tile.unpack(k, scratch.dquery, scratch.factors, count, width, dquery_rows.after(start))

        _copy(k, tile.lanes, key_sums, keys, width, dkey_rows)
        _copy(k, tile.lanes, value_sums, keys, width, dvalue_rows)
    tiles.release()


@attrs.frozen
class _Scratch:
    """What is kept of a tile of queries and of a block of keys: f32, or words of two bf16 numbers as `bf16_tiles` has
    them."""

    columns_query: Rows
    columns_grad: Rows
    rows_query: Rows
    rows_grad: Rows
    dquery: Rows
    scores: Rows
    dweights: Rows
    keep: Rows
    weights: Rows
    dscores: Rows
    dscore_pairs: Rows
    row_products: Pointer
    log_sum_exp: Pointer
    factors: Pointer

    @classmethod
    def of(cls, k: Kernel, tile: Tile, whole_width: Value) -> "_Scratch":
        def words(rows: int, stride: int | Value, longest: int) -> Rows:
            return Rows(k.stack(i32, rows * longest), stride)

        half = tile.queries // 2
        return cls(
            columns_query=tile.scratch(k, LARGEST_WIDTH // 2, i32),
            columns_grad=tile.scratch(k, LARGEST_WIDTH // 2, i32),
            rows_query=words(half, whole_width, LARGEST_WIDTH),
            rows_grad=words(half, whole_width, LARGEST_WIDTH),
            dquery=tile.scratch(k, LARGEST_WIDTH),
            scores=tile.scratch(k, tile.keys),
            dweights=tile.scratch(k, tile.keys),
            keep=tile.scratch(k, tile.keys),
            weights=words(tile.keys, half, half),
            dscores=words(tile.keys, half, half),
            dscore_pairs=tile.scratch(k, tile.keys // 2, i32),
            row_products=k.stack(f32, tile.queries),
            log_sum_exp=k.stack(f32, tile.queries),
            factors=k.stack(f32, tile.queries),
        )


def _store_rounded(k: Kernel, tile: Tile, target: Pointer, row: Sequence[Value]) -> None:
    for v in range(0, tile.vectors, 2):
        target.store(v // 2 * tile.lanes, joined(k, row[v], row[v + 1]))


def _copy(f: Function, lanes: int, source: Rows, count: Value, width: Value, target: Rows) -> None:
    with f.range_(0, count) as row, f.range_(0, width, lanes) as d:
        target[row].store(d, source[row].load(d, lanes), f.lane_mask(width - d, lanes))
