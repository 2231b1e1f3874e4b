"""Rotary positions: pairs (x[i], x[i + D/2]) turned by an angle for each position."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.attention_tile import Heads, Rows
from alpha_tensor.cpu.llvm.value import Pointer, Value

__all__ = ["rotary"]


def rotary(k: Kernel) -> None:
    """Writes out (B, H, T, D); reads x (B, H, T, D), cosine and sine (T, D / 2).

    Values: B, H, T, D / 2; strides of out and x; row strides of cosine and sine; 1, or -1 to turn back. Shares are
    positions, whose angles serve all heads.
    """
    out, x, cosine, sine = (k.pointer() for _ in range(4))
    batch, heads, time, half = (k.integer() for _ in range(4))
    out_heads, x_heads = Heads.of(k, out), Heads.of(k, x)
    cosines, sines = Rows(cosine, k.integer()), Rows(sine, k.integer())
    direction = k.number()
    lanes = k.target.lanes

    def turn(source: Pointer, target: Pointer, t: Value, d: Value, mask: Value | None) -> None:
        first, second = source.load(d, lanes, mask), source.load(half + d, lanes, mask)
        across, along = cosines[t].load(d, lanes, mask), sines[t].load(d, lanes, mask) * direction
        target.store(d, first * across - second * along, mask)
        target.store(half + d, second * across + first * along, mask)

    whole = half // lanes * lanes
    with k.share(batch * time) as (start, stop), k.range_(start, stop) as token:
        b, t = token // time, token % time
        with k.range_(0, heads) as h:
            source, target = x_heads.rows(b, h)[t], out_heads.rows(b, h)[t]
            with k.range_(0, whole, lanes) as d:
                turn(source, target, t, d, None)
            with k.if_(whole < half):
                turn(source, target, t, whole, k.lane_mask(half - whole, lanes))
