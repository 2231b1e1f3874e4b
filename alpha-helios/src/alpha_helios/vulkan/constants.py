"""Numbers of the Vulkan API that this package uses, named as the specification names them, without `VK_`.

The `vulkan` package has them too, behind an import of a third of a second, and some of the promoted ones are missing.
"""

SUCCESS = 0
TIMEOUT = 2
INCOMPLETE = 5

RESULTS = {
    1: "VK_NOT_READY",
    2: "VK_TIMEOUT",
    5: "VK_INCOMPLETE",
    -1: "VK_ERROR_OUT_OF_HOST_MEMORY",
    -2: "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    -3: "VK_ERROR_INITIALIZATION_FAILED",
    -4: "VK_ERROR_DEVICE_LOST",
    -5: "VK_ERROR_MEMORY_MAP_FAILED",
    -6: "VK_ERROR_LAYER_NOT_PRESENT",
    -7: "VK_ERROR_EXTENSION_NOT_PRESENT",
    -8: "VK_ERROR_FEATURE_NOT_PRESENT",
    -9: "VK_ERROR_INCOMPATIBLE_DRIVER",
    -10: "VK_ERROR_TOO_MANY_OBJECTS",
    -13: "VK_ERROR_UNKNOWN",
    -1000069000: "VK_ERROR_OUT_OF_POOL_MEMORY",
    -1000257000: "VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS",
    -1000011001: "VK_ERROR_VALIDATION_FAILED",
    -1000012000: "VK_ERROR_INVALID_SHADER",
}
ERROR_OUT_OF_HOST_MEMORY = -1
ERROR_OUT_OF_DEVICE_MEMORY = -2
ERROR_INITIALIZATION_FAILED = -3
ERROR_DEVICE_LOST = -4
ERROR_LAYER_NOT_PRESENT = -6
ERROR_INCOMPATIBLE_DRIVER = -9


def api_version(major: int, minor: int) -> int:
    """Returns a version as Vulkan packs it."""
    return major << 22 | minor << 12


def version_text(version: int) -> str:
    """Returns a packed version as people write it.

    >>> version_text(api_version(1, 3) + 275)
    '1.3.275'
    """
    return f"{version >> 22 & 0x7F}.{version >> 12 & 0x3FF}.{version & 0xFFF}"


API_1_2 = api_version(1, 2)
API_1_3 = api_version(1, 3)

# VkStructureType
STRUCTURE_TYPE = {
    "VkApplicationInfo": 0,
    "VkInstanceCreateInfo": 1,
    "VkDeviceQueueCreateInfo": 2,
    "VkDeviceCreateInfo": 3,
    "VkSubmitInfo": 4,
    "VkMemoryAllocateInfo": 5,
    "VkMappedMemoryRange": 6,
    "VkSemaphoreCreateInfo": 9,
    "VkQueryPoolCreateInfo": 11,
    "VkBufferCreateInfo": 12,
    "VkShaderModuleCreateInfo": 16,
    "VkPipelineCacheCreateInfo": 17,
    "VkPipelineShaderStageCreateInfo": 18,
    "VkComputePipelineCreateInfo": 29,
    "VkPipelineLayoutCreateInfo": 30,
    "VkCommandPoolCreateInfo": 39,
    "VkCommandBufferAllocateInfo": 40,
    "VkCommandBufferBeginInfo": 42,
    "VkMemoryBarrier": 46,
    "VkPhysicalDeviceVulkan11Features": 49,
    "VkPhysicalDeviceVulkan11Properties": 50,
    "VkPhysicalDeviceVulkan12Features": 51,
    "VkPhysicalDeviceVulkan12Properties": 52,
    "VkPhysicalDeviceVulkan13Features": 53,
    "VkPhysicalDeviceVulkan13Properties": 54,
    "VkPhysicalDeviceFeatures2": 1000059000,
    "VkPhysicalDeviceProperties2": 1000059001,
    "VkPhysicalDeviceMemoryProperties2": 1000059006,
    "VkMemoryAllocateFlagsInfo": 1000060000,
    "VkDebugUtilsMessengerCreateInfoEXT": 1000128004,
    "VkCalibratedTimestampInfoKHR": 1000184000,
    "VkSemaphoreTypeCreateInfo": 1000207002,
    "VkTimelineSemaphoreSubmitInfo": 1000207003,
    "VkSemaphoreWaitInfo": 1000207004,
    "VkPipelineShaderStageRequiredSubgroupSizeCreateInfo": 1000225001,
    "VkPhysicalDeviceSubgroupSizeControlFeatures": 1000225002,
    "VkPhysicalDeviceSubgroupSizeControlProperties": 1000225000,
    "VkPhysicalDeviceMemoryBudgetPropertiesEXT": 1000237000,
    "VkBufferDeviceAddressInfo": 1000244001,
    "VkPhysicalDeviceShaderAtomicFloatFeaturesEXT": 1000260000,
    "VkPhysicalDeviceShaderAtomicFloat2FeaturesEXT": 1000273000,
    "VkPhysicalDeviceShaderIntegerDotProductFeatures": 1000280000,
    "VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR": 1000336000,
    "VkPhysicalDeviceCooperativeMatrixFeaturesKHR": 1000506000,
    "VkCooperativeMatrixPropertiesKHR": 1000506001,
}

# VkPhysicalDeviceType
DEVICE_KINDS = ("other", "integrated", "discrete", "virtual", "cpu")

QUEUE_GRAPHICS = 0x1
QUEUE_COMPUTE = 0x2
QUEUE_TRANSFER = 0x4

MEMORY_DEVICE_LOCAL = 0x1
MEMORY_HOST_VISIBLE = 0x2
MEMORY_HOST_COHERENT = 0x4
MEMORY_HOST_CACHED = 0x8
MEMORY_HEAP_DEVICE_LOCAL = 0x1
MEMORY_ALLOCATE_DEVICE_ADDRESS = 0x2

BUFFER_TRANSFER_SRC = 0x1
BUFFER_TRANSFER_DST = 0x2
BUFFER_STORAGE = 0x20
BUFFER_DEVICE_ADDRESS = 0x20000
SHARING_EXCLUSIVE = 0
SHARING_CONCURRENT = 1

SHADER_STAGE_COMPUTE = 0x20
INDEPENDENCE_32_BITS = 0
INDEPENDENCE_ALL = 1
PIPELINE_BIND_POINT_COMPUTE = 1
PIPELINE_STAGE_COMPUTE = 0x800
PIPELINE_STAGE_TRANSFER = 0x1000
PIPELINE_STAGE_BOTTOM = 0x2000
PIPELINE_STAGE_HOST = 0x4000
PIPELINE_STAGE_ALL_COMMANDS = 0x10000
PIPELINE_SHADER_STAGE_REQUIRE_FULL_SUBGROUPS = 0x2

ACCESS_SHADER_READ = 0x20
ACCESS_SHADER_WRITE = 0x40
ACCESS_TRANSFER_READ = 0x800
ACCESS_TRANSFER_WRITE = 0x1000
ACCESS_HOST_READ = 0x2000
ACCESS_HOST_WRITE = 0x4000

COMMAND_POOL_TRANSIENT = 0x1
COMMAND_POOL_RESET_COMMAND_BUFFER = 0x2
COMMAND_BUFFER_ONE_TIME = 0x1
COMMAND_BUFFER_SIMULTANEOUS_USE = 0x4

SEMAPHORE_TYPE_TIMELINE = 1
QUERY_TYPE_TIMESTAMP = 2
QUERY_RESULT_64 = 0x1
QUERY_RESULT_WAIT = 0x2
TIME_DOMAIN_DEVICE = 0
TIME_DOMAIN_CLOCK_MONOTONIC = 1

MESSAGE_WARNING = 0x100
MESSAGE_ERROR = 0x1000
MESSAGE_GENERAL = 0x1
MESSAGE_VALIDATION = 0x2
MESSAGE_PERFORMANCE = 0x4

SCOPES = {1: "device", 2: "workgroup", 3: "subgroup", 5: "queue_family"}
COMPONENT_TYPES = {
    0: "f16",
    1: "f32",
    2: "f64",
    3: "i8",
    4: "i16",
    5: "i32",
    6: "i64",
    7: "u8",
    8: "u16",
    9: "u32",
    10: "u64",
    1000141000: "bf16",
    1000491002: "f8e4m3",
    1000491003: "f8e5m2",
}
"""Names of `VkComponentTypeKHR`; others are left out of the shapes that a device lists."""

SUBGROUP_OPERATIONS = {
    0x1: "subgroupBasic",
    0x2: "subgroupVote",
    0x4: "subgroupArithmetic",
    0x8: "subgroupBallot",
    0x10: "subgroupShuffle",
    0x20: "subgroupShuffleRelative",
    0x40: "subgroupClustered",
    0x80: "subgroupQuad",
}
