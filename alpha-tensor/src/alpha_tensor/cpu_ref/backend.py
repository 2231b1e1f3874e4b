"""The backend `cpu_ref`."""

from typing import ClassVar

import numpy as np

from alpha_core.shape import require_dtype, require_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.activation import ActivationKernels

__all__ = ["CpuRef"]


class CpuRef(ActivationKernels):
    """The reference: numpy, f32 and f64, every op as its definition. All other backends are held to it in float64.

    Attention, rotary positions and the AdamW update are the composites of `alpha_core.ops`: definitions already.
    """

    name: ClassVar[str] = "cpu_ref"
    in_host_memory: ClassVar[bool] = True

    @property
    def description(self) -> str:
        return f"{self.name} (numpy {np.__version__})"

    def assign(self, destination: Tensor, source: Tensor) -> None:
        require_shape("assign", "source", source, destination.shape)
        require_dtype("assign", "source", source, destination.dtype)
        destination.storage = source.storage  # arrays never change, so two tensors may hold one
