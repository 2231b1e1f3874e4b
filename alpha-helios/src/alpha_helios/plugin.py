"""What this package registers with Alpha: the backend `helios`, and the command `alpha gpuinfo`."""

from typing import TYPE_CHECKING

from alpha_core.descriptors import BackendInfo
from alpha_core.errors import BackendError
from alpha_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from alpha_core.backend import Backend
    from alpha_core.command import CommandApp


def _load() -> "Backend":
    from alpha_helios.backend import Helios
    from alpha_helios.vulkan.settings import small_ops_limit

    limit = small_ops_limit()
    if not limit:
        return Helios()
    from alpha_core.plugins import load_plugins
    from alpha_helios.small_ops import SmallOps

    return SmallOps(load_plugins().backends.get("cpu_ref").load(), limit)


def _load_planner() -> "Backend":
    from alpha_helios.planner import load_planner

    return load_planner()


def _unavailable() -> str | None:
    from alpha_helios.vulkan.loader import reason_unavailable

    return reason_unavailable()


def _unsuited() -> str | None:
    from alpha_helios.vulkan.probe import choose_device, without_gpu

    if without_gpu():
        return "this machine has no GPU"
    try:
        info = choose_device()
    except BackendError as error:
        return error.message
    return f"`{info.name}` computes on the processor" if info.software else None


@hookimpl
def register_backends() -> list[BackendInfo]:
    """One backend for every GPU with Vulkan. `auto` takes it on a real one alone."""
    return [
        BackendInfo(
            name="helios",
            summary="GPUs of any maker through Vulkan 1.2, f32, f16 and bf16",
            load=_load,
            load_planner=_load_planner,
            unavailable=_unavailable,
            unsuited=_unsuited,
            priority=20,
        )
    ]


@hookimpl
def register_commands(app: "CommandApp") -> None:
    from alpha_helios.gpuinfo_command import add_gpuinfo

    add_gpuinfo(app)
