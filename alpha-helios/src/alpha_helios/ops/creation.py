"""Filling tensors with a number."""

from alpha_core.recording.creation import moved_as
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.engine import HeliosEngine
from alpha_helios.kernels.copy import FILLED, fill
from alpha_helios.ops.extent import WORKGROUP, covering, is_wide

__all__ = ["CreationKernels"]


class CreationKernels(HeliosEngine):
    def _fill_with(self, out: Tensor, bits: int) -> None:
        type_ = moved_as(stored_dtype(out))
        self.launch(
            KernelSpec.of(fill, type_=type_, wide=is_wide(out), workgroup=WORKGROUP),
            writes=[out],
            values=[out.size, bits],
            groups=covering(out.size, FILLED[type_]),
        )
