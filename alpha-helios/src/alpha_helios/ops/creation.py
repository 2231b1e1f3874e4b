"""Filling tensors with a number."""

from alpha_core.recording.creation import moved_as
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.engine import HeliosEngine
from alpha_helios.grid import grid
from alpha_helios.kernels.copy import FILLED, fill

__all__ = ["WORKGROUP", "CreationKernels", "covering"]

WORKGROUP = 128
"""Invocations of a workgroup, as many as every device has."""


class CreationKernels(HeliosEngine):
    def _fill_with(self, out: Tensor, bits: int) -> None:
        type_ = moved_as(stored_dtype(out))
        self.launch(
            KernelSpec.of(fill, type_=type_, wide=out.size >= 1 << 30, workgroup=WORKGROUP),
            writes=[out],
            values=[out.size, bits],
            groups=covering(out.size, FILLED[type_]),
        )


def covering(count: int, each: int = 1) -> tuple[int, int, int]:
    """Returns a grid of workgroups whose invocations take `each` of `count` elements."""
    return grid(-(-count // (each * WORKGROUP)))
