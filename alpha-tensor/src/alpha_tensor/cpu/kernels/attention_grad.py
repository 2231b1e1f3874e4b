"""Gradients of causal attention, with weights recomputed block by block (Dao et al. 2022, "FlashAttention").

P = exp(S - log_sum_exp); dP = (grad v^T) * mask; dS = P * (dP - sum(grad * out)) * slope of the cap;
dq = dS k / sqrt(D); dk = dS^T q / sqrt(D); dv = (P * mask)^T grad.
"""

import attrs

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.attention_tile import (
    LARGEST_WIDTH,
    Dropout,
    Heads,
    Rows,
    Tile,
    exp2,
    rank_update,
    transposed,
)
from alpha_tensor.cpu.kernels.rows import sweep
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.math import tanh
from alpha_tensor.cpu.llvm.types import f32, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Pointer, Value

__all__ = ["attention_grad", "row_products"]

_LOG2_E = 1.4426950408889634
_SEPARATE_COST, _JOINT_COST = 7, 5  # products of two matrices for each block


def attention_grad(k: Kernel, *, soft_cap: bool, dropout: bool) -> None:
    """Writes dquery, dkey, dvalue; reads grad, query, key, value, out, log_sum_exp and for dropout step and rows.

    Values: B, H, Tq, Tk, D; strides of dquery, dkey, dvalue, grad, query, key, value, out; the scale of scores, which
    are powers of 2; 1 / sqrt(D); the factor of tanh; what `Dropout` takes.

    A share is a head, or with more parts than fit the heads a tile of queries or a block of keys of a head, where each
    kind recomputes the weights. Both add the same numbers in the same order.
    """
    dquery, dkey, dvalue = (k.pointer() for _ in range(3))
    grad, query, key, value, out, log_sum_exp = (k.pointer() for _ in range(6))
    step, sequences = (k.pointer(i32), k.pointer(i32)) if dropout else (None, None)
    batch, heads, queries, keys, width = (k.integer() for _ in range(5))
    strided = [Heads.of(k, first) for first in (dquery, dkey, dvalue, grad, query, key, value, out)]
    scale, width_scale = k.number(), k.number()
    cap = k.number() if soft_cap else None
    kept = Dropout.of(k, step, sequences) if step is not None and sequences is not None else None

    tile = Tile(k.target.lanes)
    scratch = _Scratch.of(k, tile, width)
    query_tiles = (queries + (tile.queries - 1)) // tile.queries
    key_blocks = (keys + (tile.keys - 1)) // tile.keys
    pairs = batch * heads
    rounds = (pairs + (k.parts - 1)) // k.parts
    joint = rounds * k.parts * _JOINT_COST <= pairs * _SEPARATE_COST
    units_of_pair = k.select(joint, 1, query_tiles + key_blocks)
    old_keys = keys - queries  # those before the first query's own

    with k.range_(k.part, pairs * units_of_pair, k.parts) as unit:
        pair, place = unit // units_of_pair, unit % units_of_pair
        b, h = pair // heads, pair % heads
        dquery_rows, dkey_rows, dvalue_rows, grad_rows, query_rows, key_rows, value_rows, out_rows = (
            tensor.rows(b, h) for tensor in strided
        )
        of_queries = place < query_tiles
        wants_query, wants_keys = joint | of_queries, joint | (place >= query_tiles)
        first_key = k.select(wants_query, 0, (place - query_tiles) * tile.keys)
        end_key = k.select(wants_query, keys, k.minimum(first_key + tile.keys, keys))
        first_tile = k.select(wants_query, place, k.maximum(first_key - old_keys, 0) // tile.queries)
        end_tile = k.select(joint, query_tiles, k.select(of_queries, place + 1, query_tiles))

        with k.if_(wants_keys):
            _clear(k, tile.lanes, dkey_rows, first_key, end_key, width)
            _clear(k, tile.lanes, dvalue_rows, first_key, end_key, width)

        with k.range_(first_tile, end_tile) as index:
            start = index * tile.queries
            count = k.minimum(queries - start, tile.queries)
            last_key = start + old_keys  # the last that the first query sees
            grads, selves = grad_rows.after(start), query_rows.after(start)
            tile.pack(k, selves, count, width, scratch.columns_query, scale)
            tile.pack(k, grads, count, width, scratch.columns_grad, k.constant(f32, 1.0))
            _copy(k, tile, selves, count, width, scratch.rows_query, width_scale)
            _copy(k, tile, grads, count, width, scratch.rows_grad, k.constant(f32, 1.0))
            row_products(k, tile, grads, out_rows.after(start), count, width, scratch.row_products)
            with k.range_(0, tile.queries) as i:
                entry = log_sum_exp[pair * queries + start + k.minimum(i, count - 1)]
                scratch.log_sum_exp[i] = entry * _LOG2_E
            with k.if_(wants_query):
                tile.fill(k, scratch.dquery, width, 0.0)

            with k.range_(first_key, k.minimum(end_key, last_key + count), tile.keys) as first:
                block = k.minimum(k.minimum(end_key, last_key + count) - first, tile.keys)
                if kept is not None:
                    kept.fill(k, tile, scratch.keep, b, h * queries + start, keys, first, block)

                def weigh(j: Value, masked: bool) -> None:
                    products = tile.products(k, key_rows, first + j, keys - 1, width, scratch.columns_query)
                    tops = tile.load(scratch.log_sum_exp)
                    for r, row in enumerate(products):
                        slopes = None
                        if cap is not None:
                            bent = [tanh(k, score) for score in row]
                            slopes = [1.0 - slope * slope for slope in bent]
                            row = [score * cap for score in bent]
                        row = [exp2(k, score - top) for score, top in zip(row, tops, strict=True)]
                        if masked:
                            visible = tile.visible(k, last_key, first + j + r)
                            row = [k.select(seen, weight, 0.0) for seen, weight in zip(visible, row, strict=True)]
                        if slopes is not None or kept is not None:
                            bent = row if slopes is None else [w * slope for w, slope in zip(row, slopes, strict=True)]
                            tile.store(scratch.dscores[j + r], bent)
                        if kept is not None:
                            stays = tile.load(scratch.keep[j + r])
                            row = [weight * stay for weight, stay in zip(row, stays, strict=True)]
                        tile.store(scratch.weights[j + r], row)

                clear = k.minimum(k.maximum(last_key + 1 - first, 0), block) // tile.group * tile.group
                with k.range_(0, clear, tile.group) as j:
                    weigh(j, masked=False)
                with k.range_(clear, block, tile.group) as j:
                    weigh(j, masked=True)

                sloped = scratch.dscores if soft_cap or dropout else scratch.weights
                with k.range_(0, block, tile.group) as j:
                    products = tile.products(k, value_rows, first + j, keys - 1, width, scratch.columns_grad)
                    sums = tile.load(scratch.row_products)
                    for r, row in enumerate(products):
                        if kept is not None:
                            stays = tile.load(scratch.keep[j + r])
                            row = [dweight * stay for dweight, stay in zip(row, stays, strict=True)]
                        weights = tile.load(sloped[j + r])
                        tile.store(
                            scratch.dscores[j + r],
                            [w * (dweight - mean) for w, dweight, mean in zip(weights, row, sums, strict=True)],
                        )

                with k.if_(wants_keys), k.range_(0, block, tile.group) as j:
                    # Queries before the group's first key do not see it.
                    seeing = (k.maximum(first + j - last_key, 0), count)
                    limit = k.minimum(keys - (first + j), tile.group)
                    for target, weights_of, rows in (
                        (dvalue_rows, scratch.weights, scratch.rows_grad),
                        (dkey_rows, scratch.dscores, scratch.rows_query),
                    ):
                        _add_products(k, tile, weights_of.after(j), rows, seeing, target.after(first + j), limit, width)
                with k.if_(wants_query):
                    tile.mix(
                        k, scratch.dscores, key_rows.after(first), block, width, scratch.dquery, [1.0] * tile.vectors
                    )

            with k.if_(wants_query):
                for v in range(tile.vectors):
                    scratch.factors.store(v * tile.lanes, k.splat(width_scale, tile.lanes))
                tile.unpack(k, scratch.dquery, scratch.factors, count, width, dquery_rows.after(start))


@attrs.frozen
class _Scratch:
    """What is kept of a tile of queries (columns: one lane for each query) and of a block of keys."""

    columns_query: Rows
    columns_grad: Rows
    rows_query: Rows
    rows_grad: Rows
    dquery: Rows
    weights: Rows
    dscores: Rows
    keep: Rows
    row_products: Pointer
    log_sum_exp: Pointer
    factors: Pointer

    @classmethod
    def of(cls, k: Kernel, tile: Tile, width: Value) -> "_Scratch":
        whole_width = (width + (tile.lanes - 1)) // tile.lanes * tile.lanes

        def rows() -> Rows:
            return Rows(k.stack(f32, LARGEST_WIDTH * tile.queries), whole_width)

        return cls(
            columns_query=tile.scratch(k, LARGEST_WIDTH),
            columns_grad=tile.scratch(k, LARGEST_WIDTH),
            rows_query=rows(),
            rows_grad=rows(),
            dquery=tile.scratch(k, LARGEST_WIDTH),
            weights=tile.scratch(k, tile.keys),
            dscores=tile.scratch(k, tile.keys),
            keep=tile.scratch(k, tile.keys),
            row_products=k.stack(f32, tile.queries),
            log_sum_exp=k.stack(f32, tile.queries),
            factors=k.stack(f32, tile.queries),
        )


def _clear(k: Kernel, lanes: int, rows: Rows, start: Value, stop: Value, width: Value) -> None:
    zero = k.constant(vector(f32, lanes), 0.0)
    with k.range_(start, stop) as row:
        here = rows[row]
        sweep(k, 0, width, lambda d, mask, slot: here.store(d, zero, mask))


def _copy(k: Kernel, tile: Tile, source: Rows, count: Value, width: Value, target: Rows, scale: Value) -> None:
    """target = source * scale for `count` rows, with zeros up to whole registers."""
    with k.range_(0, count) as i:
        here, there = source[i], target[i]
        sweep(k, 0, width, lambda d, mask, slot: there.store(d, here.load(d, tile.lanes, mask) * scale))


def row_products(k: Kernel, tile: Tile, a: Rows, b: Rows, count: Value, width: Value, target: Pointer) -> None:
    """target[i] = sum of a[i] * b[i], for a tile of rows of which `count` exist; the last is repeated."""
    lanes = tile.lanes
    zero = k.constant(vector(f32, lanes), 0.0)
    with k.range_(0, tile.queries, lanes) as first:
        places = [k.minimum(first + i, count - 1) for i in range(lanes)]
        sums = [k.variable(zero) for _ in places]

        def add(d: Value, mask: Value | None, slot: int) -> None:
            for variable, place in zip(sums, places, strict=True):
                variable.value = k.fma(a[place].load(d, lanes, mask), b[place].load(d, lanes, mask), variable.value)

        sweep(k, 0, width, add)
        total = zero
        for column in transposed(k, [variable.value for variable in sums]):
            total = total + column
        target.store(first, total)


def _add_products(
    k: Function,
    tile: Tile,
    weights: Rows,
    rows: Rows,
    bounds: tuple[Value, Value],
    target: Rows,
    limit: Value,
    width: Value,
) -> None:
    """target[r] += sum over i of weights[r, i] * rows[i], for the group's first `limit` r."""
    lanes = tile.lanes

    def columns(d: Value, vectors: int, mask: Value | None) -> None:
        places = [target[k.minimum(k.constant(i64, r), limit - 1)] + d for r in range(tile.group)]
        sums = rank_update(
            k,
            bounds,
            lambda i: [weights[r][i] for r in range(tile.group)],
            lambda i: [(rows[i] + d).load(v * lanes, lanes) for v in range(vectors)],
            [[place.load(v * lanes, lanes, mask) for v in range(vectors)] for place in places],
        )
        for r, (place, values) in enumerate(zip(places, sums, strict=True)):
            with k.if_(limit > r):
                for v, total in enumerate(values):
                    place.store(v * lanes, total, mask)

    whole = width // (2 * lanes) * (2 * lanes)
    with k.range_(0, whole, 2 * lanes) as d:
        columns(d, 2, None)
    with k.range_(whole, width, lanes) as d:
        columns(d, 1, k.lane_mask(width - d, lanes))
