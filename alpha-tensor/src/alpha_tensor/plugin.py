"""What this package registers with Alpha."""

from typing import TYPE_CHECKING

from alpha_core.descriptors import BackendInfo
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.backend import Backend


def _load_cpu_ref() -> "Backend":
    from alpha_tensor.cpu_ref.backend import CpuRef

    return CpuRef()


@hookimpl
def register_backends() -> list[BackendInfo]:
    """The numpy reference: available everywhere, so it has the lowest priority."""
    return [BackendInfo(name="cpu_ref", summary="numpy reference, f32 and f64, on any CPU", load=_load_cpu_ref)]
