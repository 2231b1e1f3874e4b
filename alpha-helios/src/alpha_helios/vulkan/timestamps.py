"""Moments on the device, in seconds of `time.perf_counter`. Whoever does not ask for them pays nothing."""

import sys
import time
from collections.abc import Callable
from typing import Any

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import (
    QUERY_RESULT_64,
    QUERY_RESULT_WAIT,
    QUERY_TYPE_TIMESTAMP,
    STRUCTURE_TYPE,
    TIME_DOMAIN_CLOCK_MONOTONIC,
    TIME_DOMAIN_DEVICE,
)
from alpha_helios.vulkan.logical_device import LogicalDevice

__all__ = ["Clock", "Timestamps"]

_CALIBRATED = "VK_EXT_calibrated_timestamps"


class Timestamps:
    """Room for `count` timestamps of one list of commands."""

    def __init__(self, device: LogicalDevice, count: int) -> None:
        """Raises `BackendError` if the device has no timestamps."""
        if not device.timestamp_bits:
            raise BackendError(f"`{device.info.name}` has no timestamps")
        self.count = count
        self._device = device
        vulkan = device.vulkan
        pool = vulkan.ffi.new("VkQueryPool *")
        info = vulkan.new("VkQueryPoolCreateInfo", queryType=QUERY_TYPE_TIMESTAMP, queryCount=count)
        result = vulkan.lib.vkCreateQueryPool(device.handle, info, vulkan.ffi.NULL, pool)
        device.check(result, f"make room for {count} timestamps")
        self.pool: Any = pool[0]
        self._ticks = vulkan.ffi.new("uint64_t[]", count)

    def read(self, count: int | None = None) -> list[int]:
        """Returns the first `count` timestamps as ticks; the submission that wrote them must be done."""
        count = self.count if count is None else count
        if not count:
            return []
        device = self._device
        result = device.vulkan.lib.vkGetQueryPoolResults(
            *(device.handle, self.pool, 0, count, 8 * count, self._ticks, 8, QUERY_RESULT_64 | QUERY_RESULT_WAIT)
        )
        device.check(result, "read timestamps")
        return list(self._ticks[0:count])

    def close(self) -> None:
        """Destroys the room; nothing that writes to it may be running."""
        if self.pool is not None:
            lib, ffi = self._device.vulkan.lib, self._device.vulkan.ffi
            lib.vkDestroyQueryPool(self._device.handle, self.pool, ffi.NULL)
            self.pool = None


class Clock:
    """What ticks of the device mean in seconds of `time.perf_counter`."""

    def __init__(self, device: LogicalDevice, measure: Callable[[], int]) -> None:
        """`measure` runs nothing but a timestamp on the device and returns it."""
        self._device = device
        self._measure = measure
        self._anchor: tuple[int, float] | None = None
        self._mask = (1 << device.timestamp_bits) - 1

    def calibrate(self) -> None:
        """Compares both clocks now. They drift apart by some microseconds in a minute."""
        self._anchor = self._calibrated() or self._bracketed()

    def seconds(self, ticks: int) -> float:
        """Returns a timestamp in seconds of `time.perf_counter`."""
        if self._anchor is None:
            self.calibrate()
        assert self._anchor is not None
        then, second = self._anchor
        apart = (ticks - then) & self._mask
        if apart > self._mask >> 1:  # it was before the anchor
            apart -= self._mask + 1
        return second + apart * self._device.info.limits.timestamp_period * 1e-9

    def _calibrated(self) -> tuple[int, float] | None:
        """Both clocks at one moment, where the driver tells; `perf_counter` is the monotonic clock on Linux."""
        device, vulkan = self._device, self._device.vulkan
        if _CALIBRATED not in device.extensions or not sys.platform.startswith("linux"):
            return None
        ffi = vulkan.ffi
        domains = (TIME_DOMAIN_DEVICE, TIME_DOMAIN_CLOCK_MONOTONIC)
        if not set(domains) <= self._domains():
            return None
        infos = ffi.new("VkCalibratedTimestampInfoKHR[2]")
        for info, domain in zip(infos, domains, strict=True):
            info.sType, info.timeDomain = STRUCTURE_TYPE["VkCalibratedTimestampInfoKHR"], domain
        moments, deviation = ffi.new("uint64_t[2]"), ffi.new("uint64_t *")
        call = device.function("vkGetCalibratedTimestampsEXT")
        device.check(call(device.handle, 2, infos, moments, deviation), "compare clocks")
        return int(moments[0]) & self._mask, moments[1] * 1e-9

    def _domains(self) -> set[int]:
        device, ffi = self._device, self._device.vulkan.ffi
        call = device.instance_function("vkGetPhysicalDeviceCalibrateableTimeDomainsEXT")
        count = ffi.new("uint32_t *")
        call(device.physical, count, ffi.NULL)
        domains = ffi.new("VkTimeDomainKHR[]", count[0])
        call(device.physical, count, domains)
        return {int(ffi.cast("uint32_t", domain)) for domain in domains}

    def _bracketed(self) -> tuple[int, float]:
        """A timestamp between two moments of the host: the closest of five tries."""
        tries = []
        for _ in range(5):
            before = time.perf_counter()
            ticks = self._measure()
            after = time.perf_counter()
            tries.append((after - before, ticks, (before + after) / 2))
        _, ticks, middle = min(tries)
        return ticks & self._mask, middle
