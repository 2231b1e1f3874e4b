"""The features of Vulkan that kernels may need, in one table; each device has those enabled that it supports.

A feature has the name that the specification gives it. Those of one struct come with the core version or the extension
that brings the struct.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import attrs

from alpha_core.errors import BackendError
from alpha_core.suggest import did_you_mean
from alpha_helios.vulkan.constants import API_1_2, API_1_3, SUBGROUP_OPERATIONS
from alpha_helios.vulkan.declarations import (
    COOPERATIVE_MATRIX_2,
    DECLARED_STRUCTURE_TYPE,
    SHADER_BFLOAT16,
    new_declared,
)
from alpha_helios.vulkan.loader import Vulkan

__all__ = [
    "FEATURES",
    "FEATURE_STRUCTS",
    "FLOAT_CONTROLS",
    "REQUIRED",
    "FeatureChain",
    "FeatureStruct",
    "check_requirements",
]

REQUIRED = ("bufferDeviceAddress", "timelineSemaphore")
"""Without these nothing works."""


@attrs.frozen
class FeatureStruct:
    """One struct of features, and where it comes from: core of a version, or an extension below it."""

    struct: str
    features: tuple[str, ...]
    core: int | None = None
    extension: str | None = None

    def on(self, api: int, extensions: frozenset[str]) -> bool:
        """Returns whether a device of that version with these extensions knows the struct."""
        return (self.core is not None and api >= self.core) or self.extension in extensions


FEATURE_STRUCTS = (
    FeatureStruct("VkPhysicalDeviceFeatures2", ("shaderFloat64", "shaderInt64", "shaderInt16"), core=API_1_2),
    FeatureStruct(
        "VkPhysicalDeviceVulkan11Features",
        (
            *("storageBuffer16BitAccess", "uniformAndStorageBuffer16BitAccess", "storagePushConstant16"),
            *("variablePointersStorageBuffer", "variablePointers"),
        ),
        core=API_1_2,
    ),
    FeatureStruct(
        "VkPhysicalDeviceVulkan12Features",
        (
            *("storageBuffer8BitAccess", "uniformAndStorageBuffer8BitAccess", "storagePushConstant8"),
            *("shaderBufferInt64Atomics", "shaderSharedInt64Atomics", "shaderFloat16", "shaderInt8"),
            *("scalarBlockLayout", "shaderSubgroupExtendedTypes", "hostQueryReset"),
            *("timelineSemaphore", "bufferDeviceAddress"),
            *("vulkanMemoryModel", "vulkanMemoryModelDeviceScope", "subgroupBroadcastDynamicId"),
        ),
        core=API_1_2,
    ),
    FeatureStruct(
        "VkPhysicalDeviceVulkan13Features",
        (
            *("subgroupSizeControl", "computeFullSubgroups", "shaderIntegerDotProduct", "maintenance4"),
            "shaderZeroInitializeWorkgroupMemory",
        ),
        core=API_1_3,
    ),
    FeatureStruct(
        "VkPhysicalDeviceShaderAtomicFloatFeaturesEXT",
        (
            *("shaderBufferFloat32Atomics", "shaderBufferFloat32AtomicAdd"),
            *("shaderBufferFloat64Atomics", "shaderBufferFloat64AtomicAdd"),
            *("shaderSharedFloat32Atomics", "shaderSharedFloat32AtomicAdd"),
            *("shaderSharedFloat64Atomics", "shaderSharedFloat64AtomicAdd"),
        ),
        extension="VK_EXT_shader_atomic_float",
    ),
    FeatureStruct(
        "VkPhysicalDeviceShaderAtomicFloat2FeaturesEXT",
        (
            *("shaderBufferFloat16Atomics", "shaderBufferFloat16AtomicAdd", "shaderBufferFloat16AtomicMinMax"),
            *("shaderBufferFloat32AtomicMinMax", "shaderSharedFloat32AtomicMinMax"),
            *("shaderSharedFloat16Atomics", "shaderSharedFloat16AtomicAdd", "shaderSharedFloat16AtomicMinMax"),
        ),
        extension="VK_EXT_shader_atomic_float2",
    ),
    FeatureStruct(
        "VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR",
        (
            *("workgroupMemoryExplicitLayout", "workgroupMemoryExplicitLayoutScalarBlockLayout"),
            *("workgroupMemoryExplicitLayout8BitAccess", "workgroupMemoryExplicitLayout16BitAccess"),
        ),
        extension="VK_KHR_workgroup_memory_explicit_layout",
    ),
    FeatureStruct(
        "VkPhysicalDeviceCooperativeMatrixFeaturesKHR", ("cooperativeMatrix",), extension="VK_KHR_cooperative_matrix"
    ),
    FeatureStruct(
        "VkPhysicalDeviceShaderBfloat16FeaturesKHR",
        ("shaderBFloat16Type", "shaderBFloat16DotProduct", "shaderBFloat16CooperativeMatrix"),
        extension=SHADER_BFLOAT16,
    ),
    FeatureStruct(
        "VkPhysicalDeviceCooperativeMatrix2FeaturesNV",
        (
            *("cooperativeMatrixWorkgroupScope", "cooperativeMatrixFlexibleDimensions", "cooperativeMatrixReductions"),
            *("cooperativeMatrixConversions", "cooperativeMatrixPerElementOperations"),
            *("cooperativeMatrixTensorAddressing", "cooperativeMatrixBlockLoads"),
        ),
        extension=COOPERATIVE_MATRIX_2,
    ),
)

_EMULATED_BELOW_1_3 = FeatureStruct(
    "VkPhysicalDeviceSubgroupSizeControlFeatures",
    ("subgroupSizeControl", "computeFullSubgroups"),
    extension="VK_EXT_subgroup_size_control",
)

FLOAT_CONTROLS = tuple(
    f"shader{control}Float{bits}"
    for control in (
        "SignedZeroInfNanPreserve",
        "DenormPreserve",
        "DenormFlushToZero",
        "RoundingModeRTE",
        "RoundingModeRTZ",
    )
    for bits in (16, 32, 64)
)
"""Properties of a device that are like features: what a kernel may demand of its arithmetic."""

FEATURES = frozenset(
    {
        *(name for struct in FEATURE_STRUCTS for name in struct.features),
        *SUBGROUP_OPERATIONS.values(),
        *FLOAT_CONTROLS,
    }
)
"""Every name that a kernel may require: features, groups of subgroup operations, float controls."""


class FeatureChain:
    """The structs of features that a device knows, linked through `pNext`, to be asked for and to be enabled."""

    def __init__(self, vulkan: Vulkan, api: int, extensions: frozenset[str]) -> None:
        self._ffi = vulkan.ffi
        self._rows = [row for row in FEATURE_STRUCTS if row.on(api, extensions)]
        if api < API_1_3 and _EMULATED_BELOW_1_3.extension in extensions:
            self._rows.append(_EMULATED_BELOW_1_3)
        self._structs = [
            new_declared(row.struct) if row.struct in DECLARED_STRUCTURE_TYPE else vulkan.new(row.struct)
            for row in self._rows
        ]
        for before, after in pairwise(self._structs):
            before.pNext = self._ffi.cast("void *", int(self._ffi.cast("uintptr_t", after)))

    @property
    def head(self) -> Any:
        """The first struct, `VkPhysicalDeviceFeatures2`."""
        return self._structs[0]

    def supported(self) -> frozenset[str]:
        """Returns the features that are set."""
        return frozenset(
            name
            for row, struct in zip(self._rows, self._structs, strict=True)
            for name in row.features
            if getattr(_fields(row, struct), name)
        )

    def enable(self, names: frozenset[str]) -> None:
        """Sets these features in a chain that is new."""
        for row, struct in zip(self._rows, self._structs, strict=True):
            for name in row.features:
                setattr(_fields(row, struct), name, name in names)

    @property
    def extensions(self) -> list[str]:
        """The extensions that the structs come from and that have to be enabled with them."""
        return [row.extension for row in self._rows if row.extension is not None]


def _fields(row: FeatureStruct, struct: Any) -> Any:
    return struct.features if row.struct == "VkPhysicalDeviceFeatures2" else struct


def check_requirements(kernel: str, requirements: Iterable[str], enabled: frozenset[str], device: str) -> None:
    """Raises `BackendError` that names kernel and feature, unless all requirements are enabled."""
    missing = sorted(set(requirements) - enabled)
    for name in missing:
        if name not in FEATURES:
            raise BackendError(
                f"kernel `{kernel}` requires `{name}`, which is no known feature", hint=did_you_mean(name, FEATURES)
            )
    if missing:
        raise BackendError(f"kernel `{kernel}` requires `{'`, `'.join(missing)}`, which {device} does not have")
