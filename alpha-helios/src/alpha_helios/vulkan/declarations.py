"""What the `vulkan` package does not declare, in one table: structs and functions of newer extensions.

The structs live in an FFI of their own and reach Vulkan as `void *`, in a `pNext` chain or as an argument.
"""

from functools import cache
from typing import Any

import attrs
import cffi

__all__ = ["COOPERATIVE_MATRIX_2", "DECLARED_STRUCTURE_TYPE", "SHADER_BFLOAT16", "flexible_dimensions", "new_declared"]

COOPERATIVE_MATRIX_2 = "VK_NV_cooperative_matrix2"
SHADER_BFLOAT16 = "VK_KHR_shader_bfloat16"

DECLARED_STRUCTURE_TYPE = {
    "VkPhysicalDeviceShaderBfloat16FeaturesKHR": 1000141000,
    "VkPhysicalDeviceCooperativeMatrix2FeaturesNV": 1000593000,
    "VkCooperativeMatrixFlexibleDimensionsPropertiesNV": 1000593001,
    "VkPhysicalDeviceCooperativeMatrix2PropertiesNV": 1000593002,
}

_STRUCTS = """
typedef struct VkPhysicalDeviceShaderBfloat16FeaturesKHR {
    uint32_t sType;
    void *pNext;
    uint32_t shaderBFloat16Type;
    uint32_t shaderBFloat16DotProduct;
    uint32_t shaderBFloat16CooperativeMatrix;
} VkPhysicalDeviceShaderBfloat16FeaturesKHR;

typedef struct VkPhysicalDeviceCooperativeMatrix2FeaturesNV {
    uint32_t sType;
    void *pNext;
    uint32_t cooperativeMatrixWorkgroupScope;
    uint32_t cooperativeMatrixFlexibleDimensions;
    uint32_t cooperativeMatrixReductions;
    uint32_t cooperativeMatrixConversions;
    uint32_t cooperativeMatrixPerElementOperations;
    uint32_t cooperativeMatrixTensorAddressing;
    uint32_t cooperativeMatrixBlockLoads;
} VkPhysicalDeviceCooperativeMatrix2FeaturesNV;

typedef struct VkCooperativeMatrixFlexibleDimensionsPropertiesNV {
    uint32_t sType;
    void *pNext;
    uint32_t MGranularity;
    uint32_t NGranularity;
    uint32_t KGranularity;
    uint32_t AType;
    uint32_t BType;
    uint32_t CType;
    uint32_t ResultType;
    uint32_t saturatingAccumulation;
    uint32_t scope;
    uint32_t workgroupInvocations;
} VkCooperativeMatrixFlexibleDimensionsPropertiesNV;

typedef struct VkPhysicalDeviceCooperativeMatrix2PropertiesNV {
    uint32_t sType;
    void *pNext;
    uint32_t cooperativeMatrixWorkgroupScopeMaxWorkgroupSize;
    uint32_t cooperativeMatrixFlexibleDimensionsMaxDimension;
    uint32_t cooperativeMatrixWorkgroupScopeReservedSharedMemory;
} VkPhysicalDeviceCooperativeMatrix2PropertiesNV;

typedef int32_t (*PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV)(
    void *physicalDevice, uint32_t *pPropertyCount, VkCooperativeMatrixFlexibleDimensionsPropertiesNV *pProperties);
"""


@attrs.frozen
class _Raw:
    """A row of `VkCooperativeMatrixFlexibleDimensionsPropertiesNV`, as numbers."""

    granularity: tuple[int, int, int]
    types: tuple[int, int, int, int]
    saturating: bool
    scope: int
    workgroup_invocations: int


@cache
def _ffi() -> Any:
    ffi = cffi.FFI()
    ffi.cdef(_STRUCTS)
    return ffi


def new_declared(struct: str) -> Any:
    """Returns a new struct of the table with its `sType` set."""
    value = _ffi().new(f"{struct} *")
    value.sType = DECLARED_STRUCTURE_TYPE[struct]
    return value


def flexible_dimensions(function: int, physical_device: int) -> list[_Raw]:
    """Calls `vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV`, given as an address."""
    ffi = _ffi()
    call = ffi.cast("PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV", function)
    device, count = ffi.cast("void *", physical_device), ffi.new("uint32_t *")
    call(device, count, ffi.NULL)
    rows = ffi.new("VkCooperativeMatrixFlexibleDimensionsPropertiesNV[]", count[0])
    for row in rows:
        row.sType = DECLARED_STRUCTURE_TYPE["VkCooperativeMatrixFlexibleDimensionsPropertiesNV"]
    call(device, count, rows)
    return [
        _Raw(
            granularity=(row.MGranularity, row.NGranularity, row.KGranularity),
            types=(row.AType, row.BType, row.CType, row.ResultType),
            saturating=bool(row.saturatingAccumulation),
            scope=row.scope,
            workgroup_invocations=row.workgroupInvocations,
        )
        for row in rows[0 : count[0]]
    ]
