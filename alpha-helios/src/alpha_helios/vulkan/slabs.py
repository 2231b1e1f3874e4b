"""Slabs of Vulkan memory: one buffer with one piece of memory each."""

from typing import Any

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import (
    BUFFER_DEVICE_ADDRESS,
    BUFFER_STORAGE,
    BUFFER_TRANSFER_DST,
    BUFFER_TRANSFER_SRC,
    ERROR_OUT_OF_DEVICE_MEMORY,
    ERROR_OUT_OF_HOST_MEMORY,
    MEMORY_ALLOCATE_DEVICE_ADDRESS,
    MEMORY_DEVICE_LOCAL,
    MEMORY_HOST_CACHED,
    MEMORY_HOST_COHERENT,
    MEMORY_HOST_VISIBLE,
    SHARING_CONCURRENT,
    SHARING_EXCLUSIVE,
)
from alpha_helios.vulkan.errors import OutOfDeviceMemoryError, VulkanError
from alpha_helios.vulkan.logical_device import LogicalDevice
from alpha_helios.vulkan.memory import Memory, Slab, SlabSource
from alpha_helios.vulkan.settings import memory_limit
from alpha_helios.vulkan.suballocator import ALIGNMENT, Suballocator

__all__ = ["VulkanSlabs", "device_slabs", "gibibytes", "host_slabs"]

_USAGE = BUFFER_STORAGE | BUFFER_TRANSFER_SRC | BUFFER_TRANSFER_DST | BUFFER_DEVICE_ADDRESS
_MAPPABLE = MEMORY_HOST_VISIBLE | MEMORY_HOST_COHERENT
_OUT_OF_MEMORY = (ERROR_OUT_OF_DEVICE_MEMORY, ERROR_OUT_OF_HOST_MEMORY)


def device_slabs(device: LogicalDevice, mapped: bool | None = None) -> "VulkanSlabs":
    """Returns the source of memory for tensors: the device's own.

    Where that is the processor's memory too (integrated GPUs, software devices), it is mapped, so that transfers are
    plain copies, unless `mapped` says otherwise.
    """
    shared = device.info.kind in ("integrated", "cpu") and mapped is not False
    cached = _MAPPABLE | MEMORY_HOST_CACHED
    wanted = [MEMORY_DEVICE_LOCAL | cached] if shared else []
    return VulkanSlabs(device, [*wanted, MEMORY_DEVICE_LOCAL], mapped=shared, limit=memory_limit())


def host_slabs(device: LogicalDevice) -> "VulkanSlabs":
    """Returns the source of memory for transfers: the processor's, mapped."""
    return VulkanSlabs(device, [_MAPPABLE | MEMORY_HOST_CACHED, _MAPPABLE], mapped=True, limit=None)


class VulkanSlabs(SlabSource):
    """Slabs of the first type of memory that has one of the wanted sets of properties."""

    def __init__(self, device: LogicalDevice, wanted: list[int], mapped: bool, limit: int | None) -> None:
        self._device = device
        self.limit = limit
        """The most bytes to hold, if somebody said so."""
        vulkan = device.vulkan
        self._properties = vulkan.new("VkPhysicalDeviceMemoryProperties2")
        self._budget = vulkan.new("VkPhysicalDeviceMemoryBudgetPropertiesEXT")
        self._has_budget = "VK_EXT_memory_budget" in device.extensions
        if self._has_budget:
            self._properties.pNext = self._budget
        vulkan.lib.vkGetPhysicalDeviceMemoryProperties2(device.physical, self._properties)
        self._type, self._heap, flags = self._choose_type(wanted)
        self.mapped = mapped and bool(flags & MEMORY_HOST_VISIBLE)

    @property
    def heap_bytes(self) -> int:
        """Bytes of the heap that the slabs are in."""
        return int(self._properties.memoryProperties.memoryHeaps[self._heap].size)

    def available(self, reserved: int) -> int:
        """Returns what the driver says is left, and no more than the limit allows."""
        left = self.heap_bytes - reserved
        if self._has_budget:
            self._device.vulkan.lib.vkGetPhysicalDeviceMemoryProperties2(self._device.physical, self._properties)
            left = min(left, int(self._budget.heapBudget[self._heap]) - int(self._budget.heapUsage[self._heap]))
        if self.limit is not None:
            left = min(left, self.limit - reserved)
        return max(0, left)

    def make(self, nbytes: int) -> Slab | None:
        """Makes a buffer, its memory, and a mapping of it."""
        device, vulkan = self._device, self._device.vulkan
        ffi, lib = vulkan.ffi, vulkan.lib
        if nbytes + ALIGNMENT > device.info.limits.max_allocation:
            return None
        device.alive()
        families = ffi.new("uint32_t[]", list(device.families))
        info = vulkan.new(
            "VkBufferCreateInfo",
            size=nbytes + ALIGNMENT,
            usage=_USAGE,
            sharingMode=SHARING_CONCURRENT if len(device.families) > 1 else SHARING_EXCLUSIVE,
            queueFamilyIndexCount=len(device.families),
            pQueueFamilyIndices=families,
        )
        buffer, memory = ffi.new("VkBuffer *"), ffi.new("VkDeviceMemory *")
        try:
            device.check(lib.vkCreateBuffer(device.handle, info, ffi.NULL, buffer), "make a buffer")
            requirements = ffi.new("VkMemoryRequirements *")
            lib.vkGetBufferMemoryRequirements(device.handle, buffer[0], requirements)
            flags = vulkan.new("VkMemoryAllocateFlagsInfo", flags=MEMORY_ALLOCATE_DEVICE_ADDRESS)
            request = vulkan.new(
                "VkMemoryAllocateInfo", pNext=flags, allocationSize=requirements.size, memoryTypeIndex=self._type
            )
            device.check(lib.vkAllocateMemory(device.handle, request, ffi.NULL, memory), "allocate memory")
            device.check(lib.vkBindBufferMemory(device.handle, buffer[0], memory[0], 0), "bind memory")
            return self._finished(nbytes, buffer[0], memory[0])
        except BaseException as error:
            lib.vkDestroyBuffer(device.handle, buffer[0], ffi.NULL)
            lib.vkFreeMemory(device.handle, memory[0], ffi.NULL)
            if isinstance(error, VulkanError) and error.result in _OUT_OF_MEMORY:
                return None
            raise

    def destroy(self, slab: Slab) -> None:
        """Gives buffer and memory back."""
        lib, ffi = self._device.vulkan.lib, self._device.vulkan.ffi
        slab.host = None
        lib.vkDestroyBuffer(self._device.handle, slab.buffer, ffi.NULL)
        lib.vkFreeMemory(self._device.handle, slab.memory, ffi.NULL)

    def out_of_memory(self, nbytes: int, what: str, memory: Memory) -> BackendError:
        """Says what was needed, for what, and what there is."""
        largest = self._device.info.limits.max_allocation - ALIGNMENT
        name = self._device.info.name
        if nbytes > largest:
            return OutOfDeviceMemoryError(
                f"{what} needs {gibibytes(nbytes)}, and `{name}` gives at most {gibibytes(largest)} to one tensor"
            )
        limit = f", and `ALPHA_HELIOS_MEMORY_BYTES` allows {gibibytes(self.limit)}" if self.limit is not None else ""
        return OutOfDeviceMemoryError(
            f"{what} needs {gibibytes(nbytes)} of device memory; `{name}` has {gibibytes(self.heap_bytes)}{limit}; "
            f"{gibibytes(memory.available_bytes())} are free and {gibibytes(memory.allocated_bytes)} in use here",
            hint="a smaller batch, a shorter block or activation checkpointing needs less",
        )

    def _choose_type(self, wanted: list[int]) -> tuple[int, int, int]:
        memory = self._properties.memoryProperties
        types = [(t.propertyFlags, t.heapIndex) for t in memory.memoryTypes[0 : memory.memoryTypeCount]]
        allowed = self._allowed_types()
        for flags in wanted:
            found = [
                # The fewest other properties: plain device memory, not the part of it that the processor sees too.
                (bin(has & ~flags).count("1"), index)
                for index, (has, _) in enumerate(types)
                if has & flags == flags and allowed >> index & 1
            ]
            if found:
                _, index = min(found)
                return index, types[index][1], types[index][0]
        raise BackendError(f"`{self._device.info.name}` has no memory that can be used")

    def _allowed_types(self) -> int:
        """The types of memory that a buffer of ours may be in, as bits."""
        device, vulkan = self._device, self._device.vulkan
        ffi, lib = vulkan.ffi, vulkan.lib
        info = vulkan.new("VkBufferCreateInfo", size=ALIGNMENT, usage=_USAGE)
        buffer, requirements = ffi.new("VkBuffer *"), ffi.new("VkMemoryRequirements *")
        device.check(lib.vkCreateBuffer(device.handle, info, ffi.NULL, buffer), "make a buffer")
        lib.vkGetBufferMemoryRequirements(device.handle, buffer[0], requirements)
        lib.vkDestroyBuffer(device.handle, buffer[0], ffi.NULL)
        return int(requirements.memoryTypeBits)

    def _finished(self, nbytes: int, buffer: Any, memory: Any) -> Slab:
        device, vulkan = self._device, self._device.vulkan
        ffi, lib = vulkan.ffi, vulkan.lib
        host = None
        if self.mapped:
            pointer = ffi.new("void **")
            device.check(lib.vkMapMemory(device.handle, memory, 0, nbytes + ALIGNMENT, 0, pointer), "map memory")
            host = memoryview(ffi.buffer(pointer[0], nbytes + ALIGNMENT)).cast("B")
        info = vulkan.new("VkBufferDeviceAddressInfo", buffer=buffer)
        address = int(lib.vkGetBufferDeviceAddress(device.handle, info))
        start = -address % ALIGNMENT  # the buffer is longer by this much
        return Slab(nbytes, address + start, start, buffer, memory, host, Suballocator(nbytes))


def gibibytes(nbytes: int) -> str:
    """Returns a size as people read it.

    >>> gibibytes(3 << 29), gibibytes(5 << 20)
    ('1.50 GiB', '5.0 MiB')
    """
    return f"{nbytes / 2**30:.2f} GiB" if nbytes >= 2**30 else f"{nbytes / 2**20:.1f} MiB"
