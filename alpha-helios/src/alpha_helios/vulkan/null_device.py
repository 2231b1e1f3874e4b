"""A device that plans and compiles without a GPU: memory and dispatches are counted, and nothing is computed."""

from typing import Any

import numpy as np

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import API_1_3
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.device_info import CooperativeShape, DeviceInfo, FlexibleShape, Limits, MemoryHeap
from alpha_helios.vulkan.features import FEATURES
from alpha_helios.vulkan.loader import Vulkan, declarations
from alpha_helios.vulkan.logical_device import LogicalDevice
from alpha_helios.vulkan.memory import Allocation
from alpha_helios.vulkan.null_driver import NullDriver
from alpha_helios.vulkan.staging import Download, Staging, check_range

__all__ = ["NULL_GPU", "NULL_MINIMUM", "NullDevice", "NullLogicalDevice"]

_SHAPES = tuple(
    CooperativeShape(16, 16, 16, kind, kind, total, total, "subgroup", False)
    for kind, total in (("f16", "f16"), ("f16", "f32"), ("bf16", "f32"))
)

NULL_GPU = DeviceInfo(
    index=0,
    name="null",
    kind="other",
    vendor_id=0,
    device_id=0,
    device_uuid="",
    driver="none",
    driver_version=0,
    pipeline_cache_uuid="",
    api_version=API_1_3,
    heaps=(MemoryHeap(24 << 30, True),),
    subgroup_size=32,
    subgroup_sizes=(32, 32),
    limits=Limits(
        max_push_constants=256,
        max_workgroup_size=(1024, 1024, 64),
        max_workgroup_invocations=1024,
        max_workgroup_count=(2**31 - 1, 65535, 65535),
        shared_memory=48 << 10,
        storage_alignment=16,
        max_allocation=4 << 30,
        max_workgroup_subgroups=32,
        timestamp_period=0.0,
    ),
    features=FEATURES,
    extensions=frozenset(),
    cooperative_shapes=_SHAPES,
    flexible_shapes=tuple(
        FlexibleShape(16, 16, 16, shape.a, shape.b, shape.c, shape.result, scope, invocations, False)
        for shape in _SHAPES
        for scope, invocations in (("subgroup", 0), ("workgroup", 128), ("workgroup", 256))
    ),
    flexible_max_dimension=1024,
    flexible_reserved_shared_memory=16 << 10,
    flexible_max_workgroup=1024,
)
"""Like a present-day GPU, with everything that kernels can use."""

NULL_MINIMUM = DeviceInfo(
    index=0,
    name="null, minimum",
    kind="other",
    vendor_id=0,
    device_id=0,
    device_uuid="",
    driver="none",
    driver_version=0,
    pipeline_cache_uuid="",
    api_version=API_1_3,
    heaps=(MemoryHeap(2 << 30, True),),
    subgroup_size=64,
    subgroup_sizes=(64, 64),
    limits=Limits(
        max_push_constants=128,
        max_workgroup_size=(128, 128, 64),
        max_workgroup_invocations=128,
        max_workgroup_count=(65535, 65535, 65535),
        shared_memory=16 << 10,
        storage_alignment=256,
        max_allocation=(1 << 30) + 256,
        max_workgroup_subgroups=2,
        timestamp_period=0.0,
    ),
    features=frozenset({"bufferDeviceAddress", "timelineSemaphore", "shaderInt64", "subgroupBasic"}),
    extensions=frozenset(),
)
"""The least that Vulkan 1.2 guarantees, and 64-bit integers."""


class NullDevice(Device):
    """Everything that a device does but compute: what would have been read back is an error."""

    computes = False

    def __init__(self, info: DeviceInfo = NULL_GPU, *, limited: bool = True) -> None:
        """Behaves like the device that `info` describes; `limited` by `ALPHA_HELIOS_MEMORY_BYTES`, or not."""
        self._driver = NullDriver(declarations(), info)
        logical = NullLogicalDevice(info, self._driver)
        self._set_up(logical, ring_bytes=1 << 20)
        if not limited:
            self._slabs.limit = None
        self.staging = _NullStaging(self._commands, None, self.host_memory, 1 << 20)

    @property
    def recorded_dispatches(self) -> int:
        """How many dispatches were recorded."""
        return self._driver.dispatches

    @property
    def modules(self) -> list[bytes]:
        """The SPIR-V of every kernel that was compiled."""
        return self._driver.modules


class NullLogicalDevice(LogicalDevice):
    """Asks a null driver for everything."""

    def __init__(self, info: DeviceInfo, driver: NullDriver) -> None:
        super().__init__()
        self.info, self.driver = info, driver
        self.vulkan = Vulkan(declarations(), self.driver)
        self.handle = self.physical = self.vulkan.ffi.NULL
        self.extensions = frozenset()
        self.compute_family, self.transfer_family, self.timestamp_bits = 0, None, 0

    def function(self, name: str) -> Any:
        return getattr(self.driver, name)

    def instance_function(self, name: str) -> Any:
        return getattr(self.driver, name)

    def close(self) -> None:
        self.handle = None


class _NullStaging(Staging):
    def upload(
        self, target: Allocation, array: Any, offset: int = 0, after: int | None = None, what: str = "an upload"
    ) -> None:
        """Checks that the bytes fit."""
        check_range(target, offset, np.asarray(array).nbytes)

    def download(
        self, source: Allocation, offset: int = 0, nbytes: int | None = None, what: str = "a download"
    ) -> bytearray:
        raise _nothing_computed(what)

    def start_download(
        self, source: Allocation, offset: int = 0, nbytes: int | None = None, what: str = "a download"
    ) -> Download:
        raise _nothing_computed(what)


def _nothing_computed(what: str) -> BackendError:
    return BackendError(f"{what} from the null device: it computes nothing", hint="it is for plans and checks alone")
