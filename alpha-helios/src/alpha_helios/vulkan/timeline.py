"""Queues, and the timelines by which the host and queues wait for each other."""

import time
from collections.abc import Sequence
from typing import Any

from alpha_helios.vulkan.constants import PIPELINE_STAGE_ALL_COMMANDS, SEMAPHORE_TYPE_TIMELINE, SUCCESS, TIMEOUT
from alpha_helios.vulkan.errors import DeviceTimeoutError
from alpha_helios.vulkan.logical_device import LogicalDevice
from alpha_helios.vulkan.settings import wait_limit

__all__ = ["Queue"]

_SLICE = 0.1  # seconds; signals such as Ctrl-C are handled between slices
_MOST_WAITS = 4


class Queue:
    """One queue and its timeline: each submission has the next number, and is done when the timeline has reached it."""

    def __init__(self, device: LogicalDevice, family: int, name: str) -> None:
        self.name = name
        self.family = family
        self.submitted = 0
        """The number of the last submission."""
        self._device = device
        self._reached = 0
        self._limit = wait_limit()
        vulkan = device.vulkan
        ffi, lib = vulkan.ffi, vulkan.lib
        queue = ffi.new("VkQueue *")
        lib.vkGetDeviceQueue(device.handle, family, 0, queue)
        self._handle = queue[0]
        kind = vulkan.new("VkSemaphoreTypeCreateInfo", semaphoreType=SEMAPHORE_TYPE_TIMELINE)
        self.semaphore = ffi.new("VkSemaphore *")
        info = vulkan.new("VkSemaphoreCreateInfo", pNext=kind)
        device.check(lib.vkCreateSemaphore(device.handle, info, ffi.NULL, self.semaphore), "make a timeline")
        self._submit = device.function("vkQueueSubmit")
        self._wait = device.function("vkWaitSemaphores")
        self._counter = device.function("vkGetSemaphoreCounterValue")
        self._now = ffi.new("uint64_t *")
        self._make_structs()

    def _make_structs(self) -> None:
        """Makes the structs that every submission and every wait fills in again."""
        vulkan = self._device.vulkan
        ffi = vulkan.ffi
        self._wait_semaphores = ffi.new("VkSemaphore[]", _MOST_WAITS)
        self._wait_values = ffi.new("uint64_t[]", _MOST_WAITS)
        self._wait_stages = ffi.new("VkPipelineStageFlags[]", [PIPELINE_STAGE_ALL_COMMANDS] * _MOST_WAITS)
        self._signal_value = ffi.new("uint64_t[1]")
        self._buffer = ffi.new("VkCommandBuffer[1]")
        self._values = vulkan.new(
            "VkTimelineSemaphoreSubmitInfo",
            pWaitSemaphoreValues=self._wait_values,
            signalSemaphoreValueCount=1,
            pSignalSemaphoreValues=self._signal_value,
        )
        self._info = vulkan.new(
            "VkSubmitInfo",
            pNext=self._values,
            pWaitSemaphores=self._wait_semaphores,
            pWaitDstStageMask=self._wait_stages,
            commandBufferCount=1,
            pCommandBuffers=self._buffer,
            signalSemaphoreCount=1,
            pSignalSemaphores=self.semaphore,
        )

    def submit(self, command_buffer: Any, waits: Sequence[tuple["Queue", int]], what: str) -> int:
        """Hands over a command buffer, to be run after the given submissions of other queues; returns its number.

        Raises `DeviceLostError` if the device does not work any more; `what` is named in errors.
        """
        device = self._device
        with device.lock:
            device.alive()
            count = 0
            for queue, value in waits:
                if value > queue._reached:
                    self._wait_semaphores[count] = queue.semaphore[0]
                    self._wait_values[count] = value
                    count += 1
            self._info.waitSemaphoreCount = self._values.waitSemaphoreValueCount = count
            self._signal_value[0] = self.submitted + 1
            self._buffer[0] = command_buffer
            result = self._submit(self._handle, 1, self._info, device.vulkan.ffi.NULL)
            device.check(result, f"start {what}")
            self.submitted += 1
            return self.submitted

    def progress(self) -> int:
        """Returns, without waiting, the number of the last submission that is done with all before it."""
        if self._reached < self.submitted:
            with self._device.lock:
                result = self._counter(self._device.handle, self.semaphore[0], self._now)
                self._device.check(result, f"look at the queue for {self.name}")
                self._reached = max(self._reached, min(self._now[0], self.submitted))
        return self._reached

    def reached(self, value: int) -> bool:
        """Returns, without waiting, whether a submission is done."""
        return value <= self._reached or value <= self.progress()

    def wait(self, value: int, what: str, timeout: float | None = None) -> None:
        """Waits until a submission is done, at most `timeout` seconds (default: `ALPHA_HELIOS_TIMEOUT_S`).

        Raises `DeviceTimeoutError` or `DeviceLostError`, which name `what`.
        """
        if value <= self._reached:
            return
        device = self._device
        device.alive()
        ffi = device.vulkan.ffi
        limit = self._limit if timeout is None else timeout
        end = time.monotonic() + limit
        values = ffi.new("uint64_t[]", [value])
        info = device.vulkan.new("VkSemaphoreWaitInfo", semaphoreCount=1, pSemaphores=self.semaphore, pValues=values)
        while True:
            left = max(0.0, min(_SLICE, end - time.monotonic()))
            result = self._wait(device.handle, info, int(left * 1e9))
            if result == SUCCESS:
                break
            if result != TIMEOUT:
                device.check(result, f"finish {what}")
            if time.monotonic() >= end:
                raise DeviceTimeoutError(
                    f"{what} did not finish on `{device.info.name}` within {limit:g} s",
                    hint="`ALPHA_HELIOS_TIMEOUT_S` sets how long to wait",
                )
        self._reached = max(self._reached, value)
        device.alive()

    def close(self) -> None:
        """Destroys the timeline; nothing may be running."""
        lib, ffi = self._device.vulkan.lib, self._device.vulkan.ffi
        lib.vkDestroySemaphore(self._device.handle, self.semaphore[0], ffi.NULL)
