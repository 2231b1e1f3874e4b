"""What a device is and can do, as plain data."""

import attrs

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import API_1_2, version_text
from alpha_helios.vulkan.features import REQUIRED

__all__ = ["KIND_ORDER", "CooperativeShape", "DeviceInfo", "FlexibleShape", "Limits", "MemoryHeap", "choose"]

KIND_ORDER = ("discrete", "integrated", "virtual", "other", "cpu")
"""Real GPUs before software devices."""


@attrs.frozen
class MemoryHeap:
    """One heap of memory."""

    nbytes: int
    device_local: bool


@attrs.frozen(kw_only=True)
class Limits:
    """What kernels and memory have to keep within."""

    max_push_constants: int
    """Bytes."""
    max_workgroup_size: tuple[int, int, int]
    max_workgroup_invocations: int
    max_workgroup_count: tuple[int, int, int]
    shared_memory: int
    """Bytes for one workgroup."""
    storage_alignment: int
    """Bytes."""
    max_allocation: int
    """Bytes of one allocation."""
    max_workgroup_subgroups: int
    timestamp_period: float
    """Nanoseconds of one tick; 0 where there are no timestamps."""


@attrs.frozen
class CooperativeShape:
    """One shape of `VK_KHR_cooperative_matrix`: A is m x k, B is k x n, C and the result are m x n."""

    m: int
    n: int
    k: int
    a: str
    b: str
    c: str
    result: str
    scope: str
    saturating: bool


@attrs.frozen
class FlexibleShape:
    """One row of `VK_NV_cooperative_matrix2`: sizes may be any multiple of the granularity."""

    m: int
    n: int
    k: int
    a: str
    b: str
    c: str
    result: str
    scope: str
    workgroup_invocations: int
    """For scope `workgroup`, the invocations that the workgroup has; 0 for scope `subgroup`."""
    saturating: bool


@attrs.frozen(kw_only=True)
class DeviceInfo:
    """One device. `index` counts as `list_devices` does, and is what `ALPHA_HELIOS_DEVICE` takes."""

    index: int
    name: str
    kind: str
    """`discrete`, `integrated`, `virtual`, `cpu` (software) or `other`."""
    vendor_id: int
    device_id: int
    device_uuid: str
    driver: str
    """Name and version, as the driver says them."""
    driver_version: int
    pipeline_cache_uuid: str
    api_version: int
    heaps: tuple[MemoryHeap, ...]
    subgroup_size: int
    subgroup_sizes: tuple[int, int]
    """The smallest and the largest that a kernel may ask for; both `subgroup_size` where it cannot."""
    limits: Limits
    features: frozenset[str]
    extensions: frozenset[str]
    cooperative_shapes: tuple[CooperativeShape, ...] = ()
    flexible_shapes: tuple[FlexibleShape, ...] = ()
    flexible_max_dimension: int = 0
    flexible_reserved_shared_memory: int = 0
    flexible_max_workgroup: int = 0

    @property
    def software(self) -> bool:
        """Whether it is the processor that computes."""
        return self.kind == "cpu"

    @property
    def memory_bytes(self) -> int:
        """Bytes of its largest heap of device memory."""
        local = [heap.nbytes for heap in self.heaps if heap.device_local]
        return max(local or [heap.nbytes for heap in self.heaps])

    @property
    def api(self) -> str:
        """Its version of Vulkan, such as `1.3.275`."""
        return version_text(self.api_version)

    @property
    def unusable(self) -> str | None:
        """Why this package cannot use it, or None."""
        if self.api_version < API_1_2:
            return f"it has Vulkan {self.api}, and 1.2 is needed"
        missing = [name for name in REQUIRED if name not in self.features]
        return f"it lacks `{'`, `'.join(missing)}`" if missing else None


def choose(devices: list[DeviceInfo], selection: str | None) -> DeviceInfo:
    """Returns the first device that works, or the one whose index or part of whose name is `selection`.

    Raises `BackendError` that lists what there is.
    """
    listed = "; ".join(f"{d.index}: {d.name} ({d.unusable or d.kind})" for d in devices) or "none"
    if not devices:
        raise BackendError("there is no Vulkan device on this machine", hint="install the driver of the GPU")
    if selection is None:
        usable = [info for info in devices if info.unusable is None]
        if not usable:
            raise BackendError(f"no Vulkan device of this machine can be used; there are {listed}")
        return usable[0]
    if selection.isascii() and selection.isdecimal():
        found = [info for info in devices if info.index == int(selection)]
    else:
        found = [info for info in devices if selection.casefold() in info.name.casefold()]
    if not found:
        raise BackendError(f"no Vulkan device is `{selection}`; there are {listed}")
    usable = [info for info in found if info.unusable is None]
    if not usable:
        raise BackendError(f"the Vulkan device `{found[0].name}` cannot be used: {found[0].unusable}")
    return usable[0]
