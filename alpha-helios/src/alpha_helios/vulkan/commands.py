"""Lists of commands, recorded once and run as often as they are submitted."""

from collections.abc import Sequence
from typing import Any

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import (
    ACCESS_HOST_READ,
    ACCESS_SHADER_READ,
    ACCESS_SHADER_WRITE,
    ACCESS_TRANSFER_READ,
    ACCESS_TRANSFER_WRITE,
    COMMAND_BUFFER_ONE_TIME,
    COMMAND_BUFFER_SIMULTANEOUS_USE,
    COMMAND_POOL_TRANSIENT,
    PIPELINE_BIND_POINT_COMPUTE,
    PIPELINE_STAGE_BOTTOM,
    PIPELINE_STAGE_COMPUTE,
    PIPELINE_STAGE_HOST,
    PIPELINE_STAGE_TRANSFER,
    SHADER_STAGE_COMPUTE,
)
from alpha_helios.vulkan.logical_device import LogicalDevice
from alpha_helios.vulkan.memory import Allocation
from alpha_helios.vulkan.pipelines import Pipeline
from alpha_helios.vulkan.timeline import Queue
from alpha_helios.vulkan.timestamps import Timestamps

__all__ = ["CommandList", "CommandPool"]


class CommandPool:
    """Makes command buffers for one queue, and uses those again that are done with."""

    def __init__(self, device: LogicalDevice, queue: Queue, compute: bool) -> None:
        self.device = device
        self.queue = queue
        work = (PIPELINE_STAGE_COMPUTE if compute else 0) | PIPELINE_STAGE_TRANSFER
        shader = ACCESS_SHADER_READ | ACCESS_SHADER_WRITE if compute else 0
        transfer = ACCESS_TRANSFER_READ | ACCESS_TRANSFER_WRITE
        vulkan = device.vulkan
        self.work_barrier = vulkan.new(
            "VkMemoryBarrier",
            srcAccessMask=(shader & ACCESS_SHADER_WRITE) | ACCESS_TRANSFER_WRITE,
            dstAccessMask=shader | transfer,
        )
        self.host_barrier = vulkan.new(
            "VkMemoryBarrier",
            srcAccessMask=(shader & ACCESS_SHADER_WRITE) | ACCESS_TRANSFER_WRITE,
            dstAccessMask=ACCESS_HOST_READ,
        )
        self.work_stages = work
        null = vulkan.ffi.NULL
        self.work_arguments = (work, work, 0, 1, self.work_barrier, 0, null, 0, null)
        self.host_arguments = (work, PIPELINE_STAGE_HOST, 0, 1, self.host_barrier, 0, null, 0, null)
        names = (
            *("vkCmdBindPipeline", "vkCmdPushConstants", "vkCmdDispatch", "vkCmdPipelineBarrier", "vkCmdCopyBuffer"),
            *("vkCmdFillBuffer", "vkCmdWriteTimestamp", "vkCmdResetQueryPool", "vkBeginCommandBuffer"),
            *("vkEndCommandBuffer", "vkResetCommandPool"),
        )
        self.calls = {name: device.function(name) for name in names}
        self._waiting: list[tuple[int, Any, Any]] = []
        self._all: list[Any] = []

    def take(self) -> tuple[Any, Any]:
        """Returns a pool of Vulkan and its one command buffer, which is not in use."""
        with self.device.lock:
            done = self.queue.progress()
            for index, (value, pool, buffer) in enumerate(self._waiting):
                if value <= done:
                    del self._waiting[index]
                    self.device.check(self.calls["vkResetCommandPool"](self.device.handle, pool, 0), "record commands")
                    return pool, buffer
            return self._new()

    def give_back(self, pool: Any, buffer: Any, value: int) -> None:
        """Takes a command buffer back, to be used again when the submission `value` is done."""
        with self.device.lock:
            self._waiting.append((value, pool, buffer))

    def close(self) -> None:
        """Destroys all command buffers; nothing may be running."""
        lib, ffi = self.device.vulkan.lib, self.device.vulkan.ffi
        for pool in self._all:
            lib.vkDestroyCommandPool(self.device.handle, pool, ffi.NULL)
        self._all.clear()
        self._waiting.clear()

    def _new(self) -> tuple[Any, Any]:
        device, vulkan = self.device, self.device.vulkan
        ffi, lib = vulkan.ffi, vulkan.lib
        pool, buffer = ffi.new("VkCommandPool *"), ffi.new("VkCommandBuffer *")
        info = vulkan.new("VkCommandPoolCreateInfo", flags=COMMAND_POOL_TRANSIENT, queueFamilyIndex=self.queue.family)
        device.check(lib.vkCreateCommandPool(device.handle, info, ffi.NULL, pool), "make a command pool")
        self._all.append(pool[0])
        request = vulkan.new("VkCommandBufferAllocateInfo", commandPool=pool[0], level=0, commandBufferCount=1)
        device.check(lib.vkAllocateCommandBuffers(device.handle, request, buffer), "make a command buffer")
        return pool[0], buffer[0]


class CommandList:
    """Dispatches, copies and barriers, in order.

    What was submitted before on the same queue is done, as far as this list can see, when its first command begins.
    Within the list only `barrier` orders anything: whatever stands between two barriers may run at once.
    """

    def __init__(self, commands: CommandPool, name: str, reusable: bool) -> None:
        """Begins recording. A `reusable` list may be submitted any number of times, also while it still runs."""
        self.name = name
        self.reusable = reusable
        self.dispatches = 0
        """How many dispatches were recorded."""
        self.last_submission = 0
        self._commands = commands
        self._limits = commands.device.info.limits.max_workgroup_count
        calls = commands.calls
        self._bind_call, self._push_call = calls["vkCmdBindPipeline"], calls["vkCmdPushConstants"]
        self._dispatch_call, self._barrier_call = calls["vkCmdDispatch"], calls["vkCmdPipelineBarrier"]
        self._bound: Pipeline | None = None
        self._recording = True
        vulkan = commands.device.vulkan
        self._region = vulkan.ffi.new("VkBufferCopy *")
        self._pool, self._buffer = commands.take()
        flags = COMMAND_BUFFER_SIMULTANEOUS_USE if reusable else COMMAND_BUFFER_ONE_TIME
        info = vulkan.new("VkCommandBufferBeginInfo", flags=flags)
        commands.device.check(calls["vkBeginCommandBuffer"](self._buffer, info), f"record {name}")
        self.barrier()

    def dispatch(self, pipeline: Pipeline, push: bytes, groups: Sequence[int]) -> None:
        """Runs a kernel on `groups` (x, y, z) workgroups with these push constants; none if a number is 0."""
        x, y, z = groups
        most_x, most_y, most_z = self._limits
        if x > most_x or y > most_y or z > most_z:
            raise BackendError(
                f"kernel `{pipeline.name}` is to run on {x} x {y} x {z} workgroups; "
                f"at most {most_x} x {most_y} x {most_z} are possible"
            )
        if len(push) != pipeline.push_bytes:
            raise BackendError(
                f"kernel `{pipeline.name}` takes {pipeline.push_bytes} bytes of push constants, not {len(push)}"
            )
        buffer = self._buffer
        if pipeline is not self._bound:
            self._bind_call(buffer, PIPELINE_BIND_POINT_COMPUTE, pipeline.handle)
            self._bound = pipeline
        if push:
            self._push_call(buffer, pipeline.layout, SHADER_STAGE_COMPUTE, 0, len(push), push)
        if x and y and z:
            self._dispatch_call(buffer, x, y, z)
        self.dispatches += 1

    def barrier(self) -> None:
        """Makes everything before see to it that everything behind reads and overwrites what was written."""
        self._barrier_call(self._buffer, *self._commands.work_arguments)

    def copy(
        self, source: Allocation, target: Allocation, nbytes: int, source_offset: int = 0, target_offset: int = 0
    ) -> None:
        """Copies bytes between two places that do not overlap."""
        _check_range(source, source_offset, nbytes)
        _check_range(target, target_offset, nbytes)
        if nbytes:
            region = self._region
            region.srcOffset = source.offset + source_offset
            region.dstOffset = target.offset + target_offset
            region.size = nbytes
            self._commands.calls["vkCmdCopyBuffer"](self._buffer, source.buffer, target.buffer, 1, region)

    def fill(self, target: Allocation, word: int, offset: int = 0, nbytes: int | None = None) -> None:
        """Repeats a 32-bit word over a place, or over `nbytes` of it; both offset and bytes are multiples of 4.

        Up to the end of a place, the bytes that make its last word whole are written too; nobody else owns them.
        """
        count = target.nbytes - offset if nbytes is None else nbytes
        _check_range(target, offset, count)
        if offset + count == target.nbytes:
            count = -(-count // 4) * 4
        if offset % 4 or count % 4:
            raise BackendError(f"bytes {offset} to {offset + count} are no whole words to fill")
        if count:
            self._commands.calls["vkCmdFillBuffer"](self._buffer, target.buffer, target.offset + offset, count, word)

    def reset_timestamps(self, timestamps: Timestamps) -> None:
        """Forgets earlier timestamps; stands in the list before the first of them is written."""
        self._commands.calls["vkCmdResetQueryPool"](self._buffer, timestamps.pool, 0, timestamps.count)

    def timestamp(self, timestamps: Timestamps, index: int) -> None:
        """Writes down when everything before has finished."""
        self._commands.calls["vkCmdWriteTimestamp"](self._buffer, PIPELINE_STAGE_BOTTOM, timestamps.pool, index)

    def end(self) -> None:
        """Ends recording; `Device.submit` does it too."""
        if not self._recording:
            return
        self._barrier_call(self._buffer, *self._commands.host_arguments)
        result = self._commands.calls["vkEndCommandBuffer"](self._buffer)
        self._commands.device.check(result, f"record {self.name}")
        self._recording = False

    def submit(self, waits: Sequence[tuple[Queue, int]] = (), what: str | None = None) -> int:
        """Hands the list to its queue and returns the number of the submission."""
        if self._buffer is None:
            raise BackendError(f"the commands of {self.name} were submitted or closed before")
        self.end()
        self.last_submission = self._commands.queue.submit(self._buffer, waits, what or self.name)
        if not self.reusable:
            self.close()
        return self.last_submission

    def close(self) -> None:
        """Gives the command buffer back, which is used again when the last submission is done."""
        if self._buffer is not None:
            self._commands.give_back(self._pool, self._buffer, self.last_submission)
            self._buffer = None


def _check_range(place: Allocation, offset: int, nbytes: int) -> None:
    if offset < 0 or nbytes < 0 or offset + nbytes > place.nbytes:
        raise BackendError(f"bytes {offset} to {offset + nbytes} are not within a place of {place.nbytes}")
