"""The signature that all kernels share: `kernel(arguments, part, parts)`.

`arguments` is a table of 8-byte slots: addresses, integers and doubles, in the order in which the kernel asks for them.
A kernel computes its share of the work: `parts` threads call it with `part` 0 ... parts - 1, and no share may touch
what another one writes, nor may the split change the order in which numbers are added. So results do not depend on
the number of threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.module import Module
from alpha_tensor.cpu.llvm.types import Type, f32, f64, i64, pointer
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value
from alpha_tensor.cpu.target import Target

__all__ = ["Kernel"]


class Kernel(Function):
    """The function under construction that a kernel's builder receives."""

    def __init__(self, target: Target) -> None:
        super().__init__(Module(target.vector_bits), "kernel", None, [pointer, i64, i64])
        self.module.adopt(self)
        self.target = target
        self._arguments, self.part, self.parts = self.parameters
        self._slots = 0

    def pointer(self, element: Type = f32) -> Pointer:
        """Takes the next argument, an address."""
        return Pointer(self._slot(pointer), element)

    def integer(self) -> Value:
        """Takes the next argument, an i64."""
        return self._slot(i64)

    def number(self, element: Type = f32) -> Value:
        """Takes the next argument, a double, rounded to `element`."""
        return self.convert(self._slot(f64), element)

    def table(self, count: int) -> Pointer:
        """Takes the next `count` arguments together, for a choice among them while the kernel runs."""
        first = Pointer(self._arguments, i64) + self._slots
        self._slots += count
        return first

    @contextmanager
    def share(self, count: Number, grain: int = 1) -> Iterator[tuple[Value, Value]]:
        """Gives the first and the end of this part's share of `count` things; shares start at multiples of `grain`."""
        total = self.lift(count, i64)
        groups = (total + (grain - 1)) // grain
        start = self.part * groups // self.parts * grain
        stop = (self.part + 1) * groups // self.parts * grain
        yield start, self.minimum(stop, total)

    def _slot(self, type_: Type) -> Value:
        value = self.load(Pointer(self._arguments, i64).cast(type_) + self._slots, 0, None)
        self._slots += 1
        return value
