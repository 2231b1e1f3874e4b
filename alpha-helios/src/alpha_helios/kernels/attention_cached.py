"""Attention of one query to a cache of keys and values: each number of the cache is read once, which takes the time."""

from collections.abc import Callable, Sequence
from functools import reduce

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.attention_tile import LEAST, Heads, Scores, power
from alpha_helios.kernels.math import reciprocal
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Place
from alpha_helios.spirv.types import f32, i32, i64, vector
from alpha_helios.spirv.value import Number, Value

__all__ = ["add_attended", "cached_attention"]

_AT_ONCE = 4
"""Keys of a team whose numbers are read side by side."""


def cached_attention(
    k: Kernel,
    *,
    width: int,
    lanes: int,
    team: int,
    parts: bool,
    out: str,
    query: str,
    key: str,
    value: str,
    soft_cap: bool,
) -> None:
    """Writes out (B, H, D), contiguous, or with `parts` what `add_attended` reads for each part of the keys; reads
    query (B, H, D), key and value (B, H, C, D), lengths i32 (B,).

    Values: B * H, H, parts; strides of query (B, H and 0), key and value; what `Scores` takes. Grid: a workgroup for
    each head and part. A `team` of invocations reads the numbers of a key side by side; each team has keys of its own,
    and they meet at the end.
    """
    target = elements(k, "f32" if parts else out)
    sources = [elements(k, stored, readonly=True) for stored in (query, key, value)]
    lengths = k.pointer(i32, readonly=True)
    pairs, heads, count = (k.integer() for _ in range(3))
    query_heads, key_heads, value_heads = (Heads.of(k, first) for first in sources)
    scores = Scores.of(k, soft_cap)
    index = linear_group(k)
    with k.if_(index >= pairs * count):
        k.return_()
    pair, part = index // count, index % count
    batch, head = pair // heads, pair % heads
    length = lengths[batch]
    share = (length + (count - 1)) // count
    begin = part * share
    stop = k.minimum(begin + share, length)

    members, loaded = Team(k, team), lanes if lanes > 1 else 0
    vectors = width // lanes
    places = [members.lane + team * n for n in range(-(-vectors // team))]  # vectors of a row
    exists = [place < vectors for place in places]
    starts = [k.select(there, place, 0) * lanes for there, place in zip(exists, places, strict=True)]
    zero = k.constant(vector(f32, lanes), 0.0)
    question = query_heads.rows(batch, head).first
    asked = [k.select(there, question.load(start, loaded), zero) for there, start in zip(exists, starts, strict=True)]
    key_rows, value_rows = key_heads.rows(batch, head), value_heads.rows(batch, head)
    largest, total = k.variable(LEAST, f32), k.variable(0.0, f32)
    mixed = [k.variable(zero) for _ in places]

    with k.range_(begin, stop, members.count * _AT_ONCE) as first:
        keys = [first + (members.count * n + members.index) for n in range(_AT_ONCE)]
        rows = [k.minimum(j, stop - 1) for j in keys]
        left = [[key_rows[row].load(start, loaded) for start in starts] for row in rows]
        right = [[value_rows[row].load(start, loaded) for start in starts] for row in rows]
        dots = members.sum(*(_dot(k, asked, numbers) for numbers in left))
        seen = [k.select(j < stop, scores.score(k, dot)[0], float("-inf")) for j, dot in zip(keys, dots, strict=True)]
        before, now = largest.value, reduce(k.maximum, seen, largest.value)
        change, weights = power(k, before - now), [power(k, score - now) for score in seen]
        largest.value = now
        total.value = reduce(lambda a, b: a + b, weights, total.value * change)
        for n, one in enumerate(mixed):
            sum_ = one.value * change
            for weight, numbers in zip(weights, right, strict=True):
                sum_ = k.fma(weight, numbers[n], sum_)
            one.value = sum_

    tops, totals = k.shared(f32, members.count), k.shared(f32, members.count)
    sums = k.shared(f32, members.count * width)
    with k.if_(members.lane == 0):
        tops[members.index] = largest.value
        totals[members.index] = total.value
    for there, start, one in zip(exists, starts, mixed, strict=True):
        with k.if_(there):
            sums.store(start + members.index * width, one.value)
    k.barrier()
    top = _largest(k, tops, members.count)
    with k.range_(k.local_index, width, k.invocations) as d:
        number, whole = _sums(k, top, members.count, lambda t: (tops[t], totals[t], sums[t * width + d]))
        if parts:
            target[index * (width + 2) + d] = number
            with k.if_(d == 0):
                target[index * (width + 2) + width] = top
                target[index * (width + 2) + (width + 1)] = whole
        else:
            target[pair * width + d] = number * reciprocal(k, whole)


def add_attended(k: Kernel, *, out: str) -> None:
    """Writes out (B, H, D); reads (B, H, parts, D + 2) for each part of the keys: sums of values times weights, the
    largest score as an exponent of 2, of which weights are shares, and the sum of the weights.

    Values: B * H * D, D, parts. Grid: an invocation for each number. Parts are added from the first to the last.
    """
    target, partial = elements(k, out), k.pointer(readonly=True)
    size, width, parts = (k.integer() for _ in range(3))
    index = linear_group(k) * k.invocations + k.local_index
    with k.if_(index < size):
        pair, d, row = index // width, index % width, width + 2
        first = partial + k.convert(pair * parts, i64) * k.convert(row, i64)
        top = _largest(k, first + width, parts, row)
        number, whole = _sums(
            k, top, parts, lambda t: (first[t * row + width], first[t * row + (width + 1)], first[t * row + d])
        )
        target[index] = number * reciprocal(k, whole)


def _dot(k: Kernel, left: Sequence[Value], right: Sequence[Value]) -> Value:
    total = left[0] * right[0]
    for a, b in zip(left[1:], right[1:], strict=True):
        total = k.fma(a, b, total)
    return k.horizontal_sum(total)


def _largest(k: Kernel, scores: Place, count: Number, stride: Number = 1) -> Value:
    """The largest of the scores that stand `stride` apart."""
    top = k.variable(LEAST, f32)
    with k.range_(0, count) as t:
        top.value = k.maximum(top.value, scores[t * stride])
    return top.value


def _sums(k: Kernel, top: Value, count: Number, part: Callable[[Value], tuple[Value, Value, Value]]) -> list[Value]:
    """Adds up numbers and weights of parts, given with the largest score of each."""
    number, whole = k.variable(0.0, f32), k.variable(0.0, f32)
    with k.range_(0, count) as t:
        largest, weights, numbers = part(t)
        factor = power(k, largest - top)
        number.value = k.fma(numbers, factor, number.value)
        whole.value = k.fma(weights, factor, whole.value)
    return [number.value, whole.value]
