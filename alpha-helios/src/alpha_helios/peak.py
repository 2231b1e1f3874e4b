"""How much arithmetic a device does at most, measured."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import numpy as np

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.tensor import Tensor
from alpha_helios.coop import fragments
from alpha_helios.grid import grid
from alpha_helios.kernels.matmul_coop import Fragment
from alpha_helios.kernels.peak import CHAINS, UNROLLED, multiply_add_chains, product_chains

if TYPE_CHECKING:
    from alpha_helios.backend import Helios

__all__ = ["peak_flops"]

_GROUPS = {"cpu": 32}
"""Workgroups by the kind of device."""
_MANY_GROUPS = 8192
"""For GPUs: dozens for each of their processors."""
_WORKGROUP = 128
_LONG_ENOUGH = 0.005
"""Seconds, of which handing over a launch takes less than a hundredth."""
_MOST_TURNS = 1 << 15
"""Below the 65,535 that lavapipe gives a loop."""
_RUNS = 5
_ELEMENT = 2.0**-9
"""Of the matrices that are multiplied; exact in every dtype."""


def peak_flops(backend: "Helios", dtype: DType) -> float | None:
    """Returns the FLOP/s of products and sums on registers; on the matrix units of the device where it has them.

    A processor that stands in for a device has none, whatever it says: its compiler would do such a product only once.
    """
    if dtype not in (DType.f32, DType.f16, DType.bf16):
        return None
    info = backend.info
    groups = _GROUPS.get(info.kind, _MANY_GROUPS)
    units = [] if dtype is DType.f32 or info.software else fragments(info, dtype.value)
    work = product_work(backend, groups, dtype, units[0]) if units else multiply_add_work(backend, groups)

    def seconds(turns: int) -> float:
        backend.queue.add(work.launch(turns))
        backend.device.wait()
        start = time.perf_counter()
        backend.queue.flush()
        backend.device.wait()
        return time.perf_counter() - start

    turns = 1
    seconds(turns)  # compiles
    while turns < _MOST_TURNS and seconds(turns) < _LONG_ENOUGH:
        turns *= 2
    return turns * work.flops / min(seconds(turns) for _ in range(_RUNS))


@attrs.frozen(eq=False)
class Work:
    """A kernel that may run for any number of turns."""

    flops: float
    """Of one turn."""
    out: Tensor
    launch: Callable[[int], Launch]


def multiply_add_work(backend: "Helios", groups: int) -> Work:
    """Returns products and sums of numbers."""
    out = backend.empty((groups * _WORKGROUP,))
    spec = KernelSpec.of(multiply_add_chains, workgroup=_WORKGROUP)
    flops = 2.0 * CHAINS["multiply_add_chains"] * UNROLLED * groups * _WORKGROUP
    return Work(flops, out, lambda turns: Launch(spec, (out,), values=(turns, 0.5, 0.25), groups=grid(groups)))


def product_work(backend: "Helios", groups: int, dtype: DType, fragment: Fragment) -> Work:
    """Returns products and sums of matrices, by the units that a device has for them."""
    subgroup, (m, n, k) = backend.info.subgroup_size, attrs.astuple(fragment)
    subgroups = groups * (_WORKGROUP // subgroup)
    source = backend.upload(np.full(max(m * k, k * n), _ELEMENT, np.float32), dtype)
    out = backend.empty((subgroups, m, n))
    spec = KernelSpec.of(product_chains, dtype=dtype.value, fragment=fragment, workgroup=_WORKGROUP, subgroup=subgroup)
    flops = 2.0 * m * n * k * CHAINS["product_chains"] * UNROLLED * subgroups
    return Work(flops, out, lambda turns: Launch(spec, (out,), (), (source,), (turns,), groups=grid(groups)))
