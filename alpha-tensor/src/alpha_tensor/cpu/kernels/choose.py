"""The choice of a token: shares of probability, what limits leave of them, and the draw."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.rows import row_max, row_sums, sweep
from alpha_tensor.cpu.llvm import math
from alpha_tensor.cpu.llvm.types import f32, f64, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Value

__all__ = ["draw", "limited_shares", "shares"]

_BLOCK = 256
_BELOW_ONE = 1.0 - 2.0**-24


def shares(k: Kernel) -> None:
    """out = exp((x - max x) / temperature); 0 where that is below `min_p`."""
    out, x = k.pointer(), k.pointer()
    count, width, temperature, min_p = k.integer(), k.integer(), k.number(), k.number()
    lanes = k.target.lanes
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        source, target = x + row * width, out + row * width
        largest = k.splat(row_max(k, source, width), lanes)

        def write(i: Value, mask: Value | None, slot: int) -> None:
            share = math.exp(k, (source.load(i, lanes, mask) - largest) / temperature)
            target.store(i, k.select(share < min_p, 0.0, share), mask)

        sweep(k, 0, width, write)


def limited_shares(k: Kernel) -> None:
    """The same for `size` candidates in descending order, of which the first that reach `top_p` count.

    out (rows, width) is 0 but at their ids. `scratch` has room for the candidates' shares.
    """
    out, scratch, candidates, ids = k.pointer(), k.pointer(), k.pointer(), k.pointer(i32)
    count, width, size = k.integer(), k.integer(), k.integer()
    temperature, top_p, min_p = k.number(), k.number(f64), k.number()
    lanes = k.target.lanes
    zero = k.constant(vector(f32, lanes), 0)
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        target, source, share, chosen = (
            out + row * width,
            candidates + row * size,
            scratch + row * size,
            ids + row * size,
        )
        sweep(k, 0, width, lambda i, mask, slot: target.store(i, zero, mask))
        largest = k.splat(source[0], lanes)

        def write(i: Value, mask: Value | None, slot: int) -> None:
            share.store(i, math.exp(k, (source.load(i, lanes, mask) - largest) / temperature), mask)

        sweep(k, 0, size, write)
        total = k.variable(0.0, f64)
        with k.range_(0, size) as i:
            total.value = total.value + k.convert(share[i], f64)
        bound = k.select(top_p < 1.0, total.value * top_p, float("inf"))
        place, before = k.variable(0, i64), k.variable(0.0, f64)
        with k.while_(lambda: (place.value < size) & (before.value < bound)):
            value = share[place.value]
            target[k.convert(chosen[place.value], i64)] = k.select(value < min_p, 0.0, value)
            before.value = before.value + k.convert(value, f64)
            place.value = place.value + 1


def draw(k: Kernel) -> None:
    """out[row] = the first index up to which the shares add up to more than `uniform` times their sum.

    Never one whose share is 0. Sums are taken block by block, so that only one block is gone through one by one.
    """
    out, x, uniform, count, width = k.pointer(i32), k.pointer(), k.pointer(), k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        source = x + row * width

        def block_sum(block: Value) -> Value:
            length = k.minimum(width - block, _BLOCK)
            (total,) = row_sums(k, length, 1, lambda i, mask: [source.load(block + i, lanes, mask)])
            return k.convert(total, f64)

        total = k.variable(0.0, f64)
        with k.range_(0, width, _BLOCK) as block:
            total.value = total.value + block_sum(block)
        bound = total.value * k.minimum(k.convert(uniform[row], f64), _BELOW_ONE)
        before, place, chosen = k.variable(0.0, f64), k.variable(0, i64), k.variable(0, i64)
        # `chosen` is the last index with a share so far: the sum of a block is rounded differently one by one.
        with k.while_(lambda: (place.value < width) & (before.value <= bound)):
            after = before.value + block_sum(place.value)
            with k.if_(after > bound):
                running = k.variable(before.value)
                index = k.variable(place.value)
                end = k.minimum(place.value + _BLOCK, width)
                with k.while_(lambda: (index.value < end) & (running.value <= bound)):
                    share = source[index.value]
                    running.value = running.value + k.convert(share, f64)
                    chosen.value = k.select(share > 0.0, index.value, chosen.value)
                    index.value = index.value + 1
            before.value = after
            place.value = place.value + _BLOCK
        out[row] = k.convert(chosen.value, i32)
