"""What this package registers with Alpha."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from alpha_core.descriptors import BackendInfo
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.backend import Backend


def _load_cpu_ref() -> "Backend":
    from alpha_tensor.cpu_ref.backend import CpuRef

    return CpuRef()


def _load_cpu() -> "Backend":
    import sys

    from alpha_tensor.cpu.backend import Cpu

    return Cpu(progress=lambda line: print(f"cpu: {line}", file=sys.stderr, flush=True))


def _without_llvm() -> str | None:
    if find_spec("llvmlite") is None:
        return "the package `llvmlite` is not installed; `pip install 'alpha-tensor[fast]'` brings it"
    return None


@hookimpl
def register_backends() -> list[BackendInfo]:
    """The fast backend, and the numpy reference: available everywhere, so it has the lowest priority."""
    return [
        BackendInfo(
            name="cpu",
            summary="native code made for this processor, f32 and bf16, on all cores",
            load=_load_cpu,
            unavailable=_without_llvm,
            priority=10,
        ),
        BackendInfo(name="cpu_ref", summary="numpy reference, f32 and f64, on any CPU", load=_load_cpu_ref),
    ]
