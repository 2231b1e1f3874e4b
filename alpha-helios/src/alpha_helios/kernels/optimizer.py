"""Updates of all parameters in one kernel: tables among the arguments say where they are.

Arguments of each: addresses of `count` tensors for every list, those that are updated first; addresses of scalars; then
the sizes (i64) and, for each parameter, the first of the CHUNKs that workgroups take (i32); CHUNKs in all; numbers.
Nothing is written where the last scalar, `apply`, is 0. What is not a normal number becomes 0 in moments: those of
unused rows fall there, where some devices are many times slower.
"""

from collections.abc import Callable, Sequence

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import STORED, Elements, elements
from alpha_helios.kernels.math import divide, reciprocal, root, sign
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.types import i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["CHUNK", "adamw", "lion", "sgd"]

CHUNK = 4096
"""Elements of a parameter that a workgroup updates."""
_SMALLEST = 2.0**-126

Step = Callable[..., Sequence[Value]]
"""From the elements of each list to the new ones of those that are updated."""


def adamw(k: Kernel, *, count: int, lists: Sequence[str], scalars: Sequence[str], lanes: int) -> None:
    """One step as `UpdateOps.adamw_update` defines it, with divisions by scalars taken out.

    Lists: parameters, first moments, second moments; gradients. Scalars: learning rate, corrections 1 and 2, gradient
    scale, apply. Numbers: beta1, 1 - beta1, beta2, 1 - beta2, eps, weight decay.
    """
    work = _Work(k, count, lists, scalars, lanes)
    keep1, take1, keep2, take2, eps, weight_decay = (k.number() for _ in range(6))
    rate, correction1, correction2, scale = work.scalars
    kept = 1.0 - rate * weight_decay
    size = divide(k, rate, correction1)
    stretch = reciprocal(k, root(k, correction2))

    def step(p: Value, m: Value, v: Value, g: Value) -> Sequence[Value]:
        gradient = g * scale
        first = k.fma(m, keep1, gradient * take1)
        second = k.fma(v, keep2, gradient * take2 * gradient)
        change = divide(k, first * size, k.fma(root(k, second), stretch, eps))
        return k.fma(p, kept, -change), _flushed(k, first), _flushed(k, second)

    work.run(step)


def lion(k: Kernel, *, count: int, lists: Sequence[str], scalars: Sequence[str], lanes: int) -> None:
    """One step as `UpdateOps.lion_update` defines it.

    Lists: parameters, moments; gradients. Scalars: learning rate, gradient scale, apply. Numbers: beta1, 1 - beta1,
    beta2, 1 - beta2, weight decay.
    """
    work = _Work(k, count, lists, scalars, lanes)
    keep1, take1, keep2, take2, weight_decay = (k.number() for _ in range(5))
    rate, scale = work.scalars
    kept = 1.0 - rate * weight_decay

    def step(p: Value, m: Value, g: Value) -> Sequence[Value]:
        gradient = g * scale
        direction = sign(k, m * keep1 + gradient * take1)
        return k.fma(p, kept, direction * -rate), _flushed(k, k.fma(m, keep2, gradient * take2))

    work.run(step)


def sgd(
    k: Kernel, *, count: int, lists: Sequence[str], scalars: Sequence[str], lanes: int, momentum: bool, nesterov: bool
) -> None:
    """One step as `UpdateOps.sgd_update` defines it.

    Lists: parameters, moments if there is momentum; gradients. Scalars: learning rate, gradient scale, apply. Numbers:
    momentum, weight decay.
    """
    work = _Work(k, count, lists, scalars, lanes)
    keep, weight_decay = k.number(), k.number()
    rate, scale = work.scalars
    kept = 1.0 - rate * weight_decay

    def step(p: Value, *others: Value) -> Sequence[Value]:
        gradient = others[-1] * scale
        if not momentum:
            return [k.fma(p, kept, gradient * -rate)]
        moved = _flushed(k, k.fma(others[0], keep, gradient))
        direction = k.fma(moved, keep, gradient) if nesterov else moved
        return k.fma(p, kept, direction * -rate), moved

    work.run(step)


class _Work:
    """The tensors of an update, and the share of a workgroup in them."""

    def __init__(self, k: Kernel, count: int, lists: Sequence[str], scalars: Sequence[str], lanes: int) -> None:
        self._k, self._count, self._lists, self._lanes = k, count, lists, lanes
        self._tables = [k.table(count) for _ in lists]
        *self.scalars, self._apply = (elements(k, stored, readonly=True)[0] for stored in scalars)
        self._sizes, self._starts = k.table(count, "i64"), k.table(count, "i32")
        self._chunks = k.integer()

    def run(self, step: Step) -> None:
        """Replaces the elements of the lists that are updated, all but the last."""
        k = self._k
        chunk = linear_group(k)
        with k.if_((self._apply != 0.0) & (chunk < self._chunks)):
            parameter = self._parameter(chunk)
            start = k.convert(chunk - self._starts[parameter], i64) * CHUNK
            left = k.convert(k.minimum(self._sizes[parameter] - start, CHUNK), i32)
            places = [
                Elements(Pointer(table[parameter], STORED[stored]) + start, stored)
                for table, stored in zip(self._tables, self._lists, strict=True)
            ]

            def update(index: Value, lanes: int) -> None:
                before = [place.load(index, lanes) for place in places]
                for place, value in zip(places[:-1], step(*before), strict=True):
                    place.store(index, value)

            whole = left // self._lanes * self._lanes
            with k.range_(k.local_index * self._lanes, whole, k.invocations * self._lanes) as index:
                update(index, self._lanes)
            if self._lanes > 1:
                with k.if_(whole + k.local_index < left):
                    update(whole + k.local_index, 1)

    def _parameter(self, chunk: Value) -> Value:
        """The parameter that a chunk belongs to: the last one that does not start behind it."""
        k = self._k
        low, high = k.variable(0, i32), k.variable(self._count - 1, i32)
        with k.while_(lambda: low.value < high.value):
            middle = (low.value + high.value + 1) // 2
            with k.if_(self._starts[middle] <= chunk) as branch:
                low.value = middle
            with branch.else_():
                high.value = middle - 1
        return low.value


def _flushed(k: Kernel, value: Value) -> Value:
    return k.select(k.absolute(value) < _SMALLEST, 0.0, value)
