"""The AdamW update of all parameters in one kernel."""

from collections.abc import Iterator
from contextlib import contextmanager

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.rows import sweep
from alpha_tensor.cpu.llvm.types import f32, i32, pointer
from alpha_tensor.cpu.llvm.value import Pointer, Value

__all__ = ["adamw"]

_FLUSH_TO_ZERO = 1 << 15 | 1 << 6  # results and operands below the normal numbers, in the control register of x86


def adamw(k: Kernel, count: int) -> None:
    """One step on `count` parameters: see `UpdateOps.adamw_update`, whose divisions by constants are taken out here.

    Numbers below 2^-126 count as 0: second moments of unused rows fall there, where arithmetic is many times slower.
    """
    parameters, firsts, seconds, gradients = (k.table(count) for _ in range(4))
    rate, correction1, correction2, gradient_scale, apply = (k.pointer()[0] for _ in range(5))
    sizes = k.table(count)
    beta1, beta2, eps, weight_decay = (k.number() for _ in range(4))
    lanes = k.target.lanes
    with k.if_(apply != 0.0), _flushing(k):
        kept = 1.0 - rate * weight_decay
        step = rate / correction1
        root = 1.0 / k.sqrt(correction2)
        kept, step, root, scale, eps, keep1, take1, keep2, take2 = (
            k.splat(value, lanes)
            for value in (kept, step, root, gradient_scale, eps, beta1, 1.0 - beta1, beta2, 1.0 - beta2)
        )
        with k.range_(0, count) as index:
            p, m, v, g = (
                Pointer(table.cast(pointer)[index], f32) for table in (parameters, firsts, seconds, gradients)
            )

            def update(
                i: Value, mask: Value | None, slot: int, p: Pointer = p, m: Pointer = m, v: Pointer = v, g: Pointer = g
            ) -> None:
                gradient = g.load(i, lanes, mask) * scale
                first = k.fma(m.load(i, lanes, mask), keep1, gradient * take1)
                second = k.fma(v.load(i, lanes, mask), keep2, gradient * take2 * gradient)
                change = first * step / k.fma(k.sqrt(second), root, eps)
                p.store(i, k.fma(p.load(i, lanes, mask), kept, -change), mask)
                m.store(i, first, mask)
                v.store(i, second, mask)

            with k.share(sizes[index], 1024) as (start, stop):
                sweep(k, start, stop, update)


@contextmanager
def _flushing(k: Kernel) -> Iterator[None]:
    """Counts numbers below the normal ones as 0 in the body, on processors where they are slow."""
    if not k.target.is_x86:
        yield
        return
    saved, changed = k.stack(i32), k.stack(i32)
    k.intrinsic("llvm.x86.sse.stmxcsr", None, saved.address)
    changed[0] = saved[0] | _FLUSH_TO_ZERO
    k.intrinsic("llvm.x86.sse.ldmxcsr", None, changed.address)
    yield
    k.intrinsic("llvm.x86.sse.ldmxcsr", None, saved.address)
