"""Cross-entropy of rows of logits, and its gradient, without an array of probabilities in the forward pass."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.rows import sweep
from alpha_tensor.cpu.kernels.softmax import shifted_exponentials
from alpha_tensor.cpu.llvm import math
from alpha_tensor.cpu.llvm.types import f32, i32, i64
from alpha_tensor.cpu.llvm.value import Value

__all__ = ["cross_entropy", "cross_entropy_grad"]


def cross_entropy(k: Kernel) -> None:
    """out = log sum exp(x - max x) - (x[target] - max x); 0 where the target is ignored."""
    out, logits, targets = k.pointer(), k.pointer(), k.pointer(i32)
    count, width, ignored = k.integer(), k.integer(), k.integer()
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        target = k.convert(targets[row], i64)
        out[row] = 0
        with k.if_(target != ignored):
            source = logits + row * width
            largest, total = shifted_exponentials(k, source, width)
            out[row] = math.log(k, total) - (source[target] - largest)


def cross_entropy_grad(k: Kernel) -> None:
    """out = grad * (softmax(logits) - one_hot(target)); 0 where the target is ignored."""
    out, grad, logits, targets = k.pointer(), k.pointer(), k.pointer(), k.pointer(i32)
    count, width, ignored = k.integer(), k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        target, row_out = k.convert(targets[row], i64), out + row * width
        with k.if_else(target == ignored) as branch:
            with branch.then:
                zero = k.splat(k.constant(f32, 0), lanes)
                sweep(k, 0, width, lambda i, mask, slot: row_out.store(i, zero, mask))
            with branch.otherwise:
                _, total = shifted_exponentials(k, logits + row * width, width, row_out)
                share, g = 1.0 / total, grad[row]
                hit = (row_out[target] * share - 1.0) * g
                scale = k.splat(share * g, lanes)

                def write(i: Value, mask: Value | None, slot: int) -> None:
                    row_out.store(i, row_out.load(i, lanes, mask) * scale, mask)

                sweep(k, 0, width, write)
                row_out[target] = hit
