"""Rotary positions: pairs (x[i], x[i + D/2]) turned by an angle for each position."""

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.attention_tile import Heads, Rows
from alpha_helios.spirv.kernel import Kernel

__all__ = ["rotary"]


def rotary(k: Kernel, *, out: str, x: str, cosine: str, sine: str, lanes: int) -> None:
    """Writes out (B, H, T, D); reads x (B, H, T, D), cosine and sine (T, D / 2).

    Values: B * T, H, T, D / 2; strides of out and x; row strides of cosine and sine; 1, or -1 to turn back. Grid: an
    invocation for each `lanes` pairs, those of a position next to each other: it is bound by memory.
    """
    target, source, *tables = (
        elements(k, stored, readonly=place > 0) for place, stored in enumerate((out, x, cosine, sine))
    )
    tokens, heads, time, half = (k.integer() for _ in range(4))
    out_heads, x_heads = Heads.of(k, target), Heads.of(k, source)
    angles = [Rows(table, k.long()) for table in tables]
    direction = k.number()
    item, vectors = linear_group(k) * k.invocations + k.local_index, half // lanes
    with k.if_(item < tokens * heads * vectors):
        d, row = item % vectors * lanes, item // vectors
        head, token = row % heads, row // heads
        batch, t = token // time, token % time
        count = lanes if lanes > 1 else 0
        across, along = (table[t].load(d, count) for table in angles)
        along = along * direction
        here, there = x_heads.rows(batch, head)[t], out_heads.rows(batch, head)[t]
        first, second = here.load(d, count), here.load(d + half, count)
        there.store(d, first * across - second * along)
        there.store(d + half, second * across + first * along)
