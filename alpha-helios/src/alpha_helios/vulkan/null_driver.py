"""A driver that does nothing: every call succeeds, and what it makes has a handle or an address of its own."""

from typing import Any

from alpha_helios.vulkan.constants import (
    MEMORY_DEVICE_LOCAL,
    MEMORY_HEAP_DEVICE_LOCAL,
    MEMORY_HOST_COHERENT,
    MEMORY_HOST_VISIBLE,
    SUCCESS,
)
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["NullDriver"]

_FIRST_ADDRESS = 1 << 40
_FINISHED = (1 << 63) - 1


class NullDriver:
    """Stands in for the loader's functions. Memory that is mapped is real, everything else is numbers."""

    def __init__(self, ffi: Any, info: DeviceInfo) -> None:
        self.dispatches = 0
        """How many were recorded."""
        self.submissions = 0
        self.modules: list[bytes] = []
        """Every module that was compiled."""
        self._ffi = ffi
        self._heap_bytes = info.memory_bytes
        self._next_handle = 1
        self._next_address = _FIRST_ADDRESS
        self._sizes: dict[int, int] = {}
        self._mapped: dict[int, Any] = {}
        self._functions = {
            "vkCmdDispatch": self._count_dispatch,
            "vkQueueSubmit": self._count_submission,
            "vkCreateShaderModule": self._keep_module,
            "vkCreateBuffer": self._make_buffer,
            "vkAllocateMemory": self._make_memory,
            "vkFreeMemory": self._free_memory,
            "vkMapMemory": self._map,
            "vkGetBufferMemoryRequirements": self._require,
            "vkGetBufferDeviceAddress": self._address,
            "vkGetPhysicalDeviceMemoryProperties2": self._describe_memory,
            "vkGetSemaphoreCounterValue": self._finish,
        }

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("vk"):
            raise AttributeError(name)
        return self._functions.get(name, _succeed)

    def _count_dispatch(self, *_: Any) -> None:
        self.dispatches += 1

    def _count_submission(self, *_: Any) -> int:
        self.submissions += 1
        return SUCCESS

    def _keep_module(self, _device: Any, info: Any, *_: Any) -> int:
        self.modules.append(bytes(self._ffi.buffer(info.pCode, info.codeSize)))
        return SUCCESS

    def _handle(self, kind: str) -> tuple[int, Any]:
        self._next_handle += 1
        return self._next_handle, self._ffi.cast(kind, self._next_handle)

    def _make_buffer(self, _device: Any, info: Any, _allocator: Any, out: Any) -> int:
        number, out[0] = self._handle("VkBuffer")
        self._sizes[number] = info.size
        return SUCCESS

    def _require(self, _device: Any, buffer: Any, out: Any) -> None:
        out.size, out.alignment, out.memoryTypeBits = self._sizes[self._number(buffer)], 1, 0b11

    def _make_memory(self, _device: Any, _info: Any, _allocator: Any, out: Any) -> int:
        _, out[0] = self._handle("VkDeviceMemory")
        return SUCCESS

    def _free_memory(self, _device: Any, memory: Any, *_: Any) -> None:
        self._mapped.pop(self._number(memory), None)

    def _map(self, _device: Any, memory: Any, _offset: int, nbytes: int, _flags: int, out: Any) -> int:
        self._mapped[self._number(memory)] = out[0] = self._ffi.new("char[]", nbytes)
        return SUCCESS

    def _address(self, _device: Any, info: Any) -> int:
        address = self._next_address
        self._next_address += self._sizes[self._number(info.buffer)]
        return address

    def _describe_memory(self, _device: Any, out: Any) -> None:
        memory = out.memoryProperties
        memory.memoryHeapCount = memory.memoryTypeCount = 2
        memory.memoryHeaps[0].size, memory.memoryHeaps[0].flags = self._heap_bytes, MEMORY_HEAP_DEVICE_LOCAL
        memory.memoryHeaps[1].size = self._heap_bytes
        memory.memoryTypes[0].propertyFlags = MEMORY_DEVICE_LOCAL
        memory.memoryTypes[1].propertyFlags = MEMORY_HOST_VISIBLE | MEMORY_HOST_COHERENT
        memory.memoryTypes[1].heapIndex = 1

    def _finish(self, _device: Any, _semaphore: Any, out: Any) -> int:
        out[0] = _FINISHED
        return SUCCESS

    def _number(self, handle: Any) -> int:
        return int(self._ffi.cast("uintptr_t", handle))


def _succeed(*_: Any) -> int:
    return SUCCESS
