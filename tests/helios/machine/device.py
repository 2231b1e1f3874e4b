"""A device of Vulkan whose kernels the machine runs, so that a whole backend computes on hardware that is imagined."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from tests.helios.machine.machine import run_groups
from tests.helios.machine.memory import Buffers
from tests.helios.machine.program import Program

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import SUCCESS
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.device_info import DeviceInfo
from alpha_helios.vulkan.loader import declarations
from alpha_helios.vulkan.logical_device import LogicalDevice
from alpha_helios.vulkan.memory import Allocation, Memory, Slab, SlabSource
from alpha_helios.vulkan.null_device import NullLogicalDevice
from alpha_helios.vulkan.null_driver import NullDriver
from alpha_helios.vulkan.staging import Staging
from alpha_helios.vulkan.suballocator import Suballocator

__all__ = ["MachineDevice", "program"]

_RING_BYTES = 1 << 20
_SLAB_BYTES = 4 << 20


@lru_cache(maxsize=64)
def program(code: bytes, specialization: tuple[tuple[int, int], ...] = ()) -> Program:
    """Returns a module that can be run, taken apart once."""
    return Program(code, dict(specialization))


class MachineDevice(Device):
    """Computes what is submitted, at once, and says what of it is undefined."""

    computes = False
    """No self-test at the start: tests run it when they want it."""

    def __init__(self, info: DeviceInfo) -> None:
        """Behaves like the device that `info` describes."""
        self.buffers = Buffers()
        self._set_up(NullLogicalDevice(info, _Driver(declarations(), info, self.buffers)))
        self.host_memory.close()
        self.host_memory = self._places()
        self.staging = Staging(self._commands, None, self.host_memory, _RING_BYTES)

    def _make_memory(self, mapped: bool | None) -> None:
        self.memory = self._places()

    @property
    def maps_memory(self) -> bool:
        return True

    def _places(self) -> Memory:
        return _Places(_Slabs(self._logical, self.buffers), self._logical.lock, self._wait_idle, self.buffers)


class _Places(Memory):
    """Tells the machine where places begin and end."""

    def __init__(self, source: SlabSource, lock: Any, wait_idle: Any, buffers: Buffers) -> None:
        super().__init__(source, lock, wait_idle, _SLAB_BYTES)
        self._buffers = buffers

    def allocate(self, nbytes: int, what: str = "a tensor") -> Allocation:
        place = super().allocate(nbytes, what)
        self._buffers.open(place.address, nbytes)
        return place

    def free(self, allocation: Allocation) -> None:
        if not allocation.freed:
            self._buffers.close(allocation.address)
        super().free(allocation)


class _Slabs(SlabSource):
    """Slabs in the machine's memory; the handle of a buffer is its address."""

    def __init__(self, device: LogicalDevice, buffers: Buffers) -> None:
        self._device, self._buffers = device, buffers

    def make(self, nbytes: int) -> Slab | None:
        address = self._buffers.reserve(nbytes)
        handle = self._device.vulkan.ffi.cast("VkBuffer", address)
        host = self._buffers.at(address, nbytes).data
        return Slab(nbytes, address, 0, handle, None, host, Suballocator(nbytes))

    def destroy(self, slab: Slab) -> None:
        slab.host = None

    def available(self, reserved: int) -> int:
        return len(self._buffers.bytes) - reserved

    def out_of_memory(self, nbytes: int, what: str, memory: Memory) -> BackendError:
        return BackendError(f"the machine has no room for {what} of {nbytes} bytes")


class _Driver(NullDriver):
    """Keeps modules and commands, and runs them when they are submitted."""

    def __init__(self, ffi: Any, info: DeviceInfo, buffers: Buffers) -> None:
        super().__init__(ffi, info)
        self._buffers, self._subgroup = buffers, info.subgroup_size
        self._codes: dict[int, bytes] = {}
        self._pipelines: dict[int, tuple[Program, int]] = {}
        self._lists: dict[int, list[Any]] = {}
        self._bound: dict[int, tuple[Program, int]] = {}
        self._pushed: dict[int, bytes] = {}
        self._functions |= {
            "vkCreateShaderModule": self._make_module,
            "vkCreateComputePipelines": self._make_pipeline,
            "vkAllocateCommandBuffers": self._make_list,
            "vkBeginCommandBuffer": self._begin,
            "vkCmdBindPipeline": self._bind,
            "vkCmdPushConstants": self._push,
            "vkCmdDispatch": self._dispatch,
            "vkCmdCopyBuffer": self._copy,
            "vkCmdFillBuffer": self._fill,
            "vkQueueSubmit": self._submit,
        }

    def _make_module(self, _device: Any, info: Any, _allocator: Any, out: Any) -> int:
        number, out[0] = self._handle("VkShaderModule")
        self._codes[number] = bytes(self._ffi.buffer(info.pCode, info.codeSize))
        return SUCCESS

    def _make_pipeline(self, _device: Any, _cache: Any, _count: int, info: Any, _allocator: Any, out: Any) -> int:
        stage, ffi = info[0].stage, self._ffi
        subgroup, constants = self._subgroup, []
        if stage.pNext:
            size = ffi.cast("VkPipelineShaderStageRequiredSubgroupSizeCreateInfo *", stage.pNext)
            subgroup = size.requiredSubgroupSize
        if stage.pSpecializationInfo:
            given = stage.pSpecializationInfo[0]
            data = bytes(ffi.buffer(given.pData, given.dataSize))
            for place in range(given.mapEntryCount):
                entry = given.pMapEntries[place]
                word = data[entry.offset : entry.offset + 4]
                constants.append((entry.constantID, int.from_bytes(word, "little")))
        number, out[0] = self._handle("VkPipeline")
        self._pipelines[number] = program(self._codes[self._number(stage.module)], tuple(constants)), subgroup
        return SUCCESS

    def _make_list(self, _device: Any, _info: Any, out: Any) -> int:
        number, out[0] = self._handle("VkCommandBuffer")
        self._lists[number] = []
        return SUCCESS

    def _begin(self, commands: Any, _info: Any) -> int:
        self._lists[self._number(commands)].clear()
        return SUCCESS

    def _bind(self, commands: Any, _point: int, pipeline: Any) -> None:
        self._bound[self._number(commands)] = self._pipelines[self._number(pipeline)]

    def _push(self, commands: Any, _layout: Any, _stages: int, _offset: int, nbytes: int, data: bytes) -> None:
        self._pushed[self._number(commands)] = bytes(data[:nbytes])

    def _dispatch(self, commands: Any, *groups: int) -> None:
        self.dispatches += 1
        number = self._number(commands)
        (kernel, subgroup), push = self._bound[number], self._pushed.get(number, b"")
        size = (groups[0], groups[1], groups[2])
        self._lists[number].append(lambda: run_groups(kernel, self._buffers, size, push, subgroup))

    def _copy(self, commands: Any, source: Any, target: Any, count: int, regions: Any) -> None:
        bounds = [(regions[place].srcOffset, regions[place].dstOffset, regions[place].size) for place in range(count)]
        first, second = self._number(source), self._number(target)

        def run() -> None:
            for start, to, nbytes in bounds:
                self._buffers.at(second + to, nbytes)[:] = self._buffers.at(first + start, nbytes)

        self._lists[self._number(commands)].append(run)

    def _fill(self, commands: Any, target: Any, offset: int, nbytes: int, word: int) -> None:
        place = self._buffers.at(self._number(target) + offset, nbytes)

        def run() -> None:
            place.view(np.uint32)[:] = word

        self._lists[self._number(commands)].append(run)

    def _submit(self, _queue: Any, count: int, infos: Any, _fence: Any) -> int:
        self.submissions += 1
        submissions: Sequence[Any] = [infos[place] for place in range(count)]
        for info in submissions:
            for place in range(info.commandBufferCount):
                for command in self._lists[self._number(info.pCommandBuffers[place])]:
                    command()
        return SUCCESS
