"""Asks physical devices what they are; opens none of them."""

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from alpha_helios.vulkan.constants import (
    API_1_2,
    API_1_3,
    COMPONENT_TYPES,
    DEVICE_KINDS,
    INDEPENDENCE_32_BITS,
    INDEPENDENCE_ALL,
    MEMORY_HEAP_DEVICE_LOCAL,
    SCOPES,
    SHADER_STAGE_COMPUTE,
    STRUCTURE_TYPE,
    SUBGROUP_OPERATIONS,
)
from alpha_helios.vulkan.declarations import COOPERATIVE_MATRIX_2, flexible_dimensions, new_declared
from alpha_helios.vulkan.device_info import (
    KIND_ORDER,
    CooperativeShape,
    DeviceInfo,
    FlexibleShape,
    Limits,
    MemoryHeap,
    choose,
)
from alpha_helios.vulkan.features import FLOAT_CONTROLS, FeatureChain
from alpha_helios.vulkan.instance import Instance

__all__ = ["choose_device", "heap_budgets", "list_devices", "probed", "selected", "without_gpu"]

_GPU_NODES = ("/dev/dri", "/dev/nvidiactl", "/dev/dxg")
_MEMORY_BUDGET = "VK_EXT_memory_budget"
_SUBGROUP_SIZE_CONTROL = "VK_EXT_subgroup_size_control"


def list_devices() -> list[DeviceInfo]:
    """Returns all devices, real GPUs before software devices. Raises `BackendError` if Vulkan cannot be used at all."""
    with Instance(validate=False) as instance:
        return [info for info, _ in probed(instance)]


def without_gpu() -> bool:
    """Returns whether this machine has no GPU at all, as far as that shows without asking Vulkan."""
    return sys.platform == "linux" and not any(Path(node).exists() for node in _GPU_NODES)


def choose_device(selection: str | None = None) -> DeviceInfo:
    """Returns the device to use: the first one, or the one that `selection` or `ALPHA_HELIOS_DEVICE` names.

    Raises `BackendError` that lists what there is.
    """
    return choose(list_devices(), selected(selection))


def selected(selection: str | None) -> str | None:
    """Returns the selection, by default that of the environment."""
    return selection if selection is not None else os.environ.get("ALPHA_HELIOS_DEVICE") or None


def probed(instance: Instance) -> list[tuple[DeviceInfo, Any]]:
    """Returns all devices of an instance and their handles, in the order of `list_devices`."""
    found = [(_probe(instance, handle), handle) for handle in instance.physical_devices()]
    found.sort(key=lambda pair: KIND_ORDER.index(pair[0].kind))
    return [(attrs.evolve(info, index=index), handle) for index, (info, handle) in enumerate(found)]


def heap_budgets(instance: Instance, handle: Any, info: DeviceInfo) -> tuple[int, ...] | None:
    """Returns how much of each heap this process may use now, or None where the driver does not say."""
    if _MEMORY_BUDGET not in info.extensions or info.unusable is not None:
        return None
    properties = instance.vulkan.new("VkPhysicalDeviceMemoryProperties2")
    budget = instance.vulkan.new("VkPhysicalDeviceMemoryBudgetPropertiesEXT")
    properties.pNext = budget
    instance.vulkan.lib.vkGetPhysicalDeviceMemoryProperties2(handle, properties)
    return tuple(int(nbytes) for nbytes in budget.heapBudget[0 : len(info.heaps)])


def _probe(instance: Instance, handle: Any) -> DeviceInfo:
    vulkan = instance.vulkan
    ffi, lib = vulkan.ffi, vulkan.lib
    old = ffi.new("VkPhysicalDeviceProperties *")
    lib.vkGetPhysicalDeviceProperties(handle, old)
    api = min(old.apiVersion, instance.api)
    extensions = _extensions(instance, handle)
    if api < API_1_2:  # it has no properties of 1.2; the rest is only for the listing
        return _info(instance, handle, old, extensions)
    properties = vulkan.new("VkPhysicalDeviceProperties2")
    eleven = vulkan.new("VkPhysicalDeviceVulkan11Properties")
    twelve = vulkan.new("VkPhysicalDeviceVulkan12Properties")
    chain = [properties, eleven, twelve]
    thirteen = vulkan.new("VkPhysicalDeviceVulkan13Properties") if api >= API_1_3 else None
    control = thirteen
    if control is None and _SUBGROUP_SIZE_CONTROL in extensions:
        control = vulkan.new("VkPhysicalDeviceSubgroupSizeControlProperties")
    if control is not None:
        chain.append(control)
    flexible = new_declared("VkPhysicalDeviceCooperativeMatrix2PropertiesNV")
    if COOPERATIVE_MATRIX_2 in extensions:
        chain.append(flexible)
    for before, after in pairwise(chain):
        before.pNext = ffi.cast("void *", int(ffi.cast("uintptr_t", after)))
    lib.vkGetPhysicalDeviceProperties2(handle, properties)
    chain_of_features = FeatureChain(vulkan, api, extensions)
    lib.vkGetPhysicalDeviceFeatures2(handle, chain_of_features.head)
    features = chain_of_features.supported()
    if eleven.subgroupSupportedStages & SHADER_STAGE_COMPUTE:
        operations = eleven.subgroupSupportedOperations
        features |= {name for bit, name in SUBGROUP_OPERATIONS.items() if operations & bit}
    features |= {name for name in FLOAT_CONTROLS if getattr(twelve, name) and _stands_alone(name, twelve)}
    size = eleven.subgroupSize
    sizes = (size, size)
    if control is not None and "subgroupSizeControl" in features:
        sizes = (control.minSubgroupSize, control.maxSubgroupSize)
    info = _info(instance, handle, properties.properties, extensions)
    return attrs.evolve(
        info,
        driver=f"{vulkan.text(twelve.driverName)} {vulkan.text(twelve.driverInfo)}".strip(),
        device_uuid=bytes(eleven.deviceUUID).hex(),
        subgroup_size=size,
        subgroup_sizes=sizes,
        features=features,
        limits=attrs.evolve(
            info.limits,
            # The limit of memory is soft, and drivers that go beyond it say so by that of buffers.
            max_allocation=eleven.maxMemoryAllocationSize if thirteen is None else thirteen.maxBufferSize,
            max_workgroup_subgroups=control.maxComputeWorkgroupSubgroups if control is not None else 0,
        ),
        cooperative_shapes=_cooperative_shapes(instance, handle) if "cooperativeMatrix" in features else (),
        flexible_shapes=(
            _flexible_shapes(instance, handle) if "cooperativeMatrixFlexibleDimensions" in features else ()
        ),
        flexible_max_dimension=flexible.cooperativeMatrixFlexibleDimensionsMaxDimension,
        flexible_reserved_shared_memory=flexible.cooperativeMatrixWorkgroupScopeReservedSharedMemory,
        flexible_max_workgroup=flexible.cooperativeMatrixWorkgroupScopeMaxWorkgroupSize,
    )


def _stands_alone(control: str, properties: Any) -> bool:
    """Whether a kernel may demand it for floats of one size, and nothing for those of others."""
    if "SignedZero" in control:
        return True
    name = "denormBehaviorIndependence" if "Denorm" in control else "roundingModeIndependence"
    independence = getattr(properties, name)
    return independence == INDEPENDENCE_ALL or (independence == INDEPENDENCE_32_BITS and control.endswith("32"))


def _info(instance: Instance, handle: Any, properties: Any, extensions: frozenset[str]) -> DeviceInfo:
    """What every version of Vulkan tells."""
    memory = instance.vulkan.ffi.new("VkPhysicalDeviceMemoryProperties *")
    instance.vulkan.lib.vkGetPhysicalDeviceMemoryProperties(handle, memory)
    limits = properties.limits
    return DeviceInfo(
        index=0,
        name=instance.vulkan.text(properties.deviceName),
        kind=DEVICE_KINDS[properties.deviceType] if properties.deviceType < len(DEVICE_KINDS) else "other",
        vendor_id=properties.vendorID,
        device_id=properties.deviceID,
        device_uuid="",
        driver=f"version {properties.driverVersion}",
        driver_version=properties.driverVersion,
        pipeline_cache_uuid=bytes(properties.pipelineCacheUUID).hex(),
        api_version=properties.apiVersion,
        heaps=tuple(
            MemoryHeap(heap.size, bool(heap.flags & MEMORY_HEAP_DEVICE_LOCAL))
            for heap in memory.memoryHeaps[0 : memory.memoryHeapCount]
        ),
        subgroup_size=0,
        subgroup_sizes=(0, 0),
        limits=Limits(
            max_push_constants=limits.maxPushConstantsSize,
            max_workgroup_size=tuple(limits.maxComputeWorkGroupSize),
            max_workgroup_invocations=limits.maxComputeWorkGroupInvocations,
            max_workgroup_count=tuple(limits.maxComputeWorkGroupCount),
            shared_memory=limits.maxComputeSharedMemorySize,
            storage_alignment=limits.minStorageBufferOffsetAlignment,
            max_allocation=0,
            max_workgroup_subgroups=0,
            timestamp_period=limits.timestampPeriod,
        ),
        features=frozenset(),
        extensions=extensions,
    )


def _extensions(instance: Instance, handle: Any) -> frozenset[str]:
    ffi, lib = instance.vulkan.ffi, instance.vulkan.lib
    count = ffi.new("uint32_t *")
    lib.vkEnumerateDeviceExtensionProperties(handle, ffi.NULL, count, ffi.NULL)
    rows = ffi.new("VkExtensionProperties[]", count[0])
    lib.vkEnumerateDeviceExtensionProperties(handle, ffi.NULL, count, rows)
    return frozenset(instance.vulkan.text(row.extensionName) for row in rows[0 : count[0]])


def _cooperative_shapes(instance: Instance, handle: Any) -> tuple[CooperativeShape, ...]:
    ffi = instance.vulkan.ffi
    call = instance.function("vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR")
    count = ffi.new("uint32_t *")
    call(handle, count, ffi.NULL)
    rows = ffi.new("VkCooperativeMatrixPropertiesKHR[]", count[0])
    for row in rows:
        row.sType = STRUCTURE_TYPE["VkCooperativeMatrixPropertiesKHR"]
    call(handle, count, rows)
    shapes = []
    for row in rows[0 : count[0]]:
        # An enumeration that the declarations do not know reads as a number all the same.
        types = [int(ffi.cast("uint32_t", kind)) for kind in (row.AType, row.BType, row.CType, row.ResultType)]
        scope = SCOPES.get(int(ffi.cast("uint32_t", row.scope)))
        if scope is not None and all(kind in COMPONENT_TYPES for kind in types):
            a, b, c, result = (COMPONENT_TYPES[kind] for kind in types)
            saturating = bool(row.saturatingAccumulation)
            shapes.append(CooperativeShape(row.MSize, row.NSize, row.KSize, a, b, c, result, scope, saturating))
    return tuple(shapes)


def _flexible_shapes(instance: Instance, handle: Any) -> tuple[FlexibleShape, ...]:
    function = instance.address("vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV")
    physical_device = int(instance.vulkan.ffi.cast("uintptr_t", handle))
    shapes = []
    for row in flexible_dimensions(function, physical_device):
        if row.scope in SCOPES and all(kind in COMPONENT_TYPES for kind in row.types):
            a, b, c, result = (COMPONENT_TYPES[kind] for kind in row.types)
            scope, invocations = SCOPES[row.scope], row.workgroup_invocations
            shapes.append(FlexibleShape(*row.granularity, a, b, c, result, scope, invocations, row.saturating))
    return tuple(shapes)
