"""What `alpha gpuinfo` tells: the devices of this machine, what they can do, and what `helios` makes of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from alpha_core.errors import AlphaError, BackendError
from alpha_helios.fast_paths import FAST_PATHS
from alpha_helios.vulkan.device_info import DeviceInfo, choose
from alpha_helios.vulkan.instance import Instance
from alpha_helios.vulkan.probe import heap_budgets, probed, selected
from alpha_helios.vulkan.settings import memory_limit

if TYPE_CHECKING:
    from alpha_core.plugins import Plugins

__all__ = ["Automatic", "GpuReport", "PathState", "gpu_report"]


@attrs.frozen
class PathState:
    """A fast path on the device that is used."""

    name: str
    summary: str
    """What it does; what of it the device cannot do as well, if it is taken."""
    off: str | None
    """Why it is not taken; None if it is, after its values were found right."""


@attrs.frozen
class Automatic:
    """What `--backend=auto` comes to."""

    backend: str | None
    reason: str | None
    """Why it is not `helios`; None if it is."""


@attrs.frozen
class GpuReport:
    """What there is, and what is used."""

    devices: Sequence[DeviceInfo]
    budgets: Sequence[tuple[int, ...] | None]
    """Bytes of each heap of each device that this process may use now; None where the driver does not say."""
    used: int | None
    """Index of the device that `helios` takes."""
    problem: str | None
    """Why `helios` does not work here; None if it does."""
    paths: Sequence[PathState]
    """Of the device that is used."""
    automatic: Automatic
    memory_limit: int | None
    """`ALPHA_HELIOS_MEMORY_BYTES`."""

    def to_json(self) -> dict[str, Any]:
        """Returns everything; sizes are in bytes."""
        return {
            "used": self.used,
            "problem": self.problem,
            "auto": attrs.asdict(self.automatic),
            "memoryLimit": self.memory_limit,
            "paths": [attrs.asdict(path) for path in self.paths],
            "devices": [_device_json(*pair) for pair in zip(self.devices, self.budgets, strict=True)],
        }


def gpu_report(plugins: "Plugins") -> GpuReport:
    """Looks at all devices, and opens the one that is used, whose values are tested if they were not before.

    What is missing on this machine is part of the report, and no error; a mistake in the environment is an error.
    """
    limit, budgets = memory_limit(), list[tuple[int, ...] | None]()
    devices: list[DeviceInfo] = []
    used, problem, paths = None, None, list[PathState]()
    try:
        with Instance(validate=False) as instance:
            for info, handle in probed(instance):
                devices.append(info)
                budgets.append(heap_budgets(instance, handle, info))
        used = choose(devices, selected(None)).index
        paths = _paths()
    except BackendError as error:
        problem = f"{error.message} ({error.hint})" if error.hint else error.message
    return GpuReport(devices, budgets, used, problem, paths, _automatic(plugins), limit)


def _paths() -> list[PathState]:
    from alpha_helios.backend import Helios

    backend = Helios()
    try:
        off, info = dict(backend.paths.off), backend.info
    finally:
        backend.close()
    return [
        PathState(path.name, path.summary if path.name in off else path.described(info), off.get(path.name))
        for path in FAST_PATHS
    ]


def _automatic(plugins: "Plugins") -> Automatic:
    try:
        name = plugins.choose_backend().name
    except AlphaError as error:
        return Automatic(None, error.message)
    if name == "helios":
        return Automatic(name, None)
    info = next((info for info in plugins.backends if info.name == "helios"), None)
    reason = None if info is None else info.unavailable() or info.unsuited()
    return Automatic(name, reason or f"`{name}` goes before `helios`")


def _device_json(info: DeviceInfo, budgets: tuple[int, ...] | None) -> Mapping[str, Any]:
    limits = info.limits
    return {
        "index": info.index,
        "name": info.name,
        "kind": info.kind,
        "unusable": info.unusable,
        "driver": info.driver,
        "api": info.api,
        "vendor": info.vendor_id,
        "device": info.device_id,
        "heaps": [
            {"bytes": heap.nbytes, "deviceLocal": heap.device_local, "budget": budgets[index] if budgets else None}
            for index, heap in enumerate(info.heaps)
        ],
        "subgroupSize": info.subgroup_size,
        "subgroupSizes": info.subgroup_sizes,
        "limits": {
            "pushConstants": limits.max_push_constants,
            "workgroupInvocations": limits.max_workgroup_invocations,
            "workgroupSize": limits.max_workgroup_size,
            "workgroupCount": limits.max_workgroup_count,
            "workgroupSubgroups": limits.max_workgroup_subgroups,
            "sharedMemory": limits.shared_memory,
            "allocation": limits.max_allocation,
            "timestampNanoseconds": limits.timestamp_period,
        },
        "cooperativeShapes": [attrs.asdict(shape) for shape in info.cooperative_shapes],
        "flexibleShapes": [attrs.asdict(shape) for shape in info.flexible_shapes],
        "features": sorted(info.features),
    }
