"""Small kernels for tests of the runtime."""

import struct

from alpha_helios.spirv.kernel import Kernel as Builder
from alpha_helios.spirv.types import f32
from alpha_helios.vulkan.memory import Allocation
from alpha_helios.vulkan.pipelines import Kernel


def add_kernel(amount: float = 1.0, name: str = "add") -> Kernel:
    """`x[i] += amount` for i below n: push constants are the address of x and n."""
    k = Builder((64, 1, 1))
    x, n = k.pointer(f32), k.integer()
    i = k.global_(0)
    with k.if_(i < n):
        x[i] = x[i] + k.constant(f32, amount)
    binary = k.finish()
    return Kernel(name=name, words=binary.code, requirements=binary.requirements, push_bytes=binary.argument_bytes)


def push(place: Allocation, count: int) -> bytes:
    """The push constants of `add_kernel`."""
    return struct.pack("<QI", place.address, count)


def groups(count: int) -> tuple[int, int, int]:
    return (-(-count // 64), 1, 1)
