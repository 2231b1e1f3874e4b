"""CPU backends: `cpu_ref`, the numpy reference that reads like the definition."""

__all__ = ["CpuRef"]
__version__ = "0.1.0"

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_tensor.cpu_ref.backend import CpuRef as CpuRef


def __getattr__(name: str) -> Any:
    if name != "CpuRef":
        raise AttributeError(f"module `alpha_tensor` has no attribute `{name}`")
    from alpha_tensor.cpu_ref.backend import CpuRef

    return CpuRef
