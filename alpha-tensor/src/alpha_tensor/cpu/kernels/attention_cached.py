"""Attention of one query to a cache of keys and values: each number of the cache is read once, which takes the time."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.attention_tile import LARGEST_WIDTH, Heads, exp2, rank_update, transposed
from alpha_tensor.cpu.llvm.math import tanh
from alpha_tensor.cpu.llvm.types import f32, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Value

__all__ = ["cached_attention"]

_KEYS = 256
"""Keys whose scores are known before their values are read. Results depend on it."""


def cached_attention(k: Kernel, *, soft_cap: bool) -> None:
    """Writes out (B, H, D), contiguous; reads query (B, H, D), key and value (B, H, C, D), lengths i32 (B,).

    Values: B, H, D; strides of query (B, H and 0), key and value; the scale of scores, which are powers of 2; the
    factor of tanh. Shares are heads.
    """
    out, query, key, value = (k.pointer() for _ in range(4))
    lengths = k.pointer(i32)
    batch, heads, width = (k.integer() for _ in range(3))
    query_heads, key_heads, value_heads = (Heads.of(k, first) for first in (query, key, value))
    scale = k.number()
    cap = k.number() if soft_cap else None

    lanes = k.target.lanes
    register = vector(f32, lanes)
    zero, lowest = k.constant(register, 0.0), k.constant(register, float("-inf"))
    weights, mixed = k.stack(f32, _KEYS), k.stack(f32, LARGEST_WIDTH)
    whole = width // lanes * lanes

    with k.range_(k.part, batch * heads, k.parts) as pair:
        b, h = pair // heads, pair % heads
        length = k.convert(lengths[b], i64)
        question = query_heads.rows(b, h).first
        key_rows, value_rows = key_heads.rows(b, h), value_heads.rows(b, h)
        largest = k.variable(float("-inf"), f32)
        total = k.variable(zero)
        with k.range_(0, width, lanes) as d:
            mixed.store(d, zero)

        with k.range_(0, length, _KEYS) as first:
            count = k.minimum(length - first, _KEYS)
            tops = k.variable(lowest)
            with k.range_(0, count, lanes) as j:
                rows = [key_rows[k.minimum(first + j + i, length - 1)] for i in range(lanes)]
                sums = [k.variable(zero) for _ in rows]

                def multiply(d: Value, mask: Value | None) -> None:
                    numbers = question.load(d, lanes, mask)
                    for row, variable in zip(rows, sums, strict=True):
                        variable.value = k.fma(row.load(d, lanes, mask), numbers, variable.value)

                with k.range_(0, whole, lanes) as d:
                    multiply(d, None)
                with k.if_(whole < width):
                    multiply(whole, k.lane_mask(width - whole, lanes))
                scores = zero
                for column in transposed(k, [variable.value for variable in sums]):
                    scores = scores + column
                scores = scores * scale if cap is None else tanh(k, scores * scale) * cap
                scores = k.select(k.lane_mask(count - j, lanes), scores, lowest)
                weights.store(j, scores)
                tops.value = k.select(scores > tops.value, scores, tops.value)

            before = largest.value
            now = k.maximum(before, k.horizontal_max(tops.value))
            largest.value = now
            change = exp2(k, k.splat(before - now, lanes))
            total.value = total.value * change
            with k.range_(0, count, lanes) as j:
                weight = exp2(k, weights.load(j, lanes) - now)
                weights.store(j, weight)
                total.value = total.value + weight

            def mix(d: Value, vectors: int, mask: Value | None = None) -> None:
                (sums,) = rank_update(
                    k,
                    (0, count),
                    lambda j: [weights[j]],
                    lambda j: [value_rows[first + j].load(d + v * lanes, lanes, mask) for v in range(vectors)],
                    [[mixed.load(d + v * lanes, lanes) * change for v in range(vectors)]],
                )
                for v, result in enumerate(sums):
                    mixed.store(d + v * lanes, result)

            wide = width // (4 * lanes) * (4 * lanes)
            with k.range_(0, wide, 4 * lanes) as d:
                mix(d, 4)
            with k.range_(wide, whole, lanes) as d:
                mix(d, 1)
            with k.if_(whole < width):
                mix(whole, 1, k.lane_mask(width - whole, lanes))

        factor = 1.0 / k.horizontal_sum(total.value)
        target = out + pair * width
        with k.range_(0, width, lanes) as d:
            target.store(d, mixed.load(d, lanes) * factor, k.lane_mask(width - d, lanes))
