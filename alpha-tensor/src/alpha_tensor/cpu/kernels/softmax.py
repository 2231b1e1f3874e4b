"""Softmax and log-softmax of rows, and their gradients."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.rows import row_max, row_sums, sweep
from alpha_tensor.cpu.llvm import math
from alpha_tensor.cpu.llvm.value import Pointer, Value

__all__ = ["log_softmax", "log_softmax_grad", "shifted_exponentials", "softmax", "softmax_grad"]


def softmax(k: Kernel) -> None:
    """out = exp(x - max x) / sum exp(x - max x)."""
    out, x, count, width = k.pointer(), k.pointer(), k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        target = out + row * width
        _, total = shifted_exponentials(k, x + row * width, width, target)
        scale = k.splat(1.0 / total, lanes)
        sweep(k, 0, width, lambda i, mask, slot: target.store(i, target.load(i, lanes, mask) * scale, mask))


def softmax_grad(k: Kernel) -> None:
    """dx = out * (grad - sum(grad * out))."""
    dx, grad, out, count, width = k.pointer(), k.pointer(), k.pointer(), k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        target, g, y = (tensor + row * width for tensor in (dx, grad, out))
        (along,) = row_sums(k, width, 1, lambda i, mask: [(g.load(i, lanes, mask), y.load(i, lanes, mask))])
        level = k.splat(along, lanes)
        sweep(
            k,
            0,
            width,
            lambda i, mask, slot: target.store(i, y.load(i, lanes, mask) * (g.load(i, lanes, mask) - level), mask),
        )


def log_softmax(k: Kernel) -> None:
    """out = x - max x - log sum exp(x - max x)."""
    out, x, count, width = k.pointer(), k.pointer(), k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        source, target = x + row * width, out + row * width
        largest, total = shifted_exponentials(k, source, width)
        level, rest = k.splat(largest, lanes), k.splat(math.log(k, total), lanes)
        sweep(k, 0, width, lambda i, mask, slot: target.store(i, source.load(i, lanes, mask) - level - rest, mask))


def log_softmax_grad(k: Kernel) -> None:
    """dx = grad - exp(out) * sum(grad)."""
    dx, grad, out, count, width = k.pointer(), k.pointer(), k.pointer(), k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        target, g, y = (tensor + row * width for tensor in (dx, grad, out))
        (total,) = row_sums(k, width, 1, lambda i, mask: [g.load(i, lanes, mask)])
        slope = k.splat(total, lanes)

        def write(i: Value, mask: Value | None, slot: int) -> None:
            share = math.exp(k, y.load(i, lanes, mask))
            target.store(i, k.fma(-share, slope, g.load(i, lanes, mask)), mask)

        sweep(k, 0, width, write)


def shifted_exponentials(k: Kernel, x: Pointer, width: Value, out: Pointer | None = None) -> tuple[Value, Value]:
    """Returns the largest number of a row and the sum of exp(x - largest), which go to `out` if it is given.

    NaN or an infinite largest number gives a sum that is NaN.
    """
    lanes = k.target.lanes
    largest = row_max(k, x, width)
    level = k.splat(largest, lanes)

    def term(i: Value, mask: Value | None) -> list[Value]:
        value = math.exp(k, x.load(i, lanes, mask) - level)
        if out is not None:
            out.store(i, value, mask)
        return [value]

    (total,) = row_sums(k, width, 1, term)
    return largest, total
