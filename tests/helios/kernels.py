"""Kernels for the tests of launching."""

from alpha_helios.grid import linear_group
from alpha_helios.spirv.kernel import Kernel

__all__ = ["add_many", "scale", "slow_copy"]


def scale(k: Kernel, by: float) -> None:
    """y[i] = x[i] * by for i below n."""
    y, x, n = k.pointer(), k.pointer(readonly=True), k.integer()
    i = linear_group(k) * k.invocations + k.local_index
    with k.if_(i < n):
        y[i] = x[i] * by


def add_many(k: Kernel, count: int) -> None:
    """y[i] += the sum of `count` tensors; has more arguments than push constants hold if there are many."""
    y, tensors, n = k.pointer(), [k.pointer(readonly=True) for _ in range(count)], k.integer()
    i = linear_group(k) * k.invocations + k.local_index
    with k.if_(i < n):
        total = y[i]
        for tensor in tensors:
            total = total + tensor[i]
        y[i] = total


def slow_copy(k: Kernel) -> None:
    """y[i] = x[i], after so much useless work that a launch without a barrier would overtake it."""
    y, x, n = k.pointer(), k.pointer(readonly=True), k.integer()
    i = linear_group(k) * k.invocations + k.local_index
    value = k.variable(0.0, x.element)
    with k.if_(i < n):
        with k.range_(0, 2000) as step:
            value.value = k.sin(value.value + k.convert(step, x.element))
        y[i] = x[i] + k.select(value.value > 10.0, value.value, 0.0)
