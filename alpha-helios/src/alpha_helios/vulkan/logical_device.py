"""An opened device: its handle, functions and families of queues, and whether it still works."""

import threading
from abc import ABC, abstractmethod
from typing import Any

from alpha_helios.vulkan.constants import (
    API_1_3,
    ERROR_DEVICE_LOST,
    QUEUE_COMPUTE,
    QUEUE_GRAPHICS,
    QUEUE_TRANSFER,
    SUCCESS,
)
from alpha_helios.vulkan.device_info import DeviceInfo, choose
from alpha_helios.vulkan.errors import DeviceLostError, check, lost_message
from alpha_helios.vulkan.features import FeatureChain
from alpha_helios.vulkan.instance import Instance
from alpha_helios.vulkan.loader import Vulkan
from alpha_helios.vulkan.probe import probed, selected
from alpha_helios.vulkan.validation import Validation

__all__ = ["LogicalDevice", "OpenDevice"]

_EXTENSIONS = ("VK_EXT_memory_budget", "VK_EXT_calibrated_timestamps", "VK_KHR_portability_subset")
"""Enabled where they are there, beside those that features come from."""


class LogicalDevice(ABC):
    """What the parts of a device share: its handle and functions, its families of queues, and whether it works."""

    info: DeviceInfo
    vulkan: Vulkan
    handle: Any
    """`VkDevice`, or None when it is closed."""
    physical: Any
    """`VkPhysicalDevice`."""
    extensions: frozenset[str]
    """Those that are enabled beside the ones that features come from."""
    compute_family: int
    transfer_family: int | None
    timestamp_bits: int
    validation: Validation | None = None

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.lost: str | None = None
        """What is said of a device that was lost."""

    @property
    def families(self) -> tuple[int, ...]:
        """The families of queues that are used."""
        return (self.compute_family,) if self.transfer_family is None else (self.compute_family, self.transfer_family)

    @abstractmethod
    def function(self, name: str) -> Any:
        """Returns a function of the device, past the loader's dispatch."""

    @abstractmethod
    def instance_function(self, name: str) -> Any:
        """Returns a function of an extension of the instance, or None."""

    @abstractmethod
    def close(self) -> None:
        """Destroys the device. Everything that was made of it must be gone."""

    def alive(self) -> None:
        """Raises `DeviceLostError` if the device was lost before, and `ValidationError` for news of the layer."""
        if self.lost is not None:
            raise DeviceLostError(self.lost)
        if self.validation is not None:
            self.validation.raise_errors()

    def check(self, result: int, what: str) -> None:
        """Raises an error unless a call that was to do `what` succeeded; remembers that the device is lost."""
        if result == ERROR_DEVICE_LOST and self.lost is None:
            self.lost = lost_message(what)
        if result != SUCCESS or self.lost is not None or self.validation is not None:
            self.alive()
            check(result, what)


class OpenDevice(LogicalDevice):
    """`VkDevice` with every supported feature of the table enabled."""

    def __init__(self, selection: str | None = None, validate: bool | None = None) -> None:
        """Opens the device that `choose_device` describes."""
        super().__init__()
        self._instance = Instance(validate)
        self.validation = self._instance.validation
        try:
            devices = probed(self._instance)
            self.info = choose([info for info, _ in devices], selected(selection))
            self.physical = devices[self.info.index][1]
            self.vulkan = self._instance.vulkan
            self.extensions = frozenset(name for name in _EXTENSIONS if name in self.info.extensions)
            self.compute_family, self.transfer_family, self.timestamp_bits = self._choose_families()
            self.handle = self._create()
        except BaseException:
            self._instance.close()
            raise

    def function(self, name: str) -> Any:
        address = self.vulkan.lib.vkGetDeviceProcAddr(self.handle, name.encode())
        return self.vulkan.ffi.cast(f"PFN_{name}", address)

    def instance_function(self, name: str) -> Any:
        return self._instance.function(name)

    def close(self) -> None:
        if self.handle is None:
            return
        self.vulkan.lib.vkDestroyDevice(self.handle, self.vulkan.ffi.NULL)
        self.handle = None
        self._instance.close()

    def _choose_families(self) -> tuple[int, int | None, int]:
        ffi, lib = self.vulkan.ffi, self.vulkan.lib
        count = ffi.new("uint32_t *")
        lib.vkGetPhysicalDeviceQueueFamilyProperties(self.physical, count, ffi.NULL)
        families = ffi.new("VkQueueFamilyProperties[]", count[0])
        lib.vkGetPhysicalDeviceQueueFamilyProperties(self.physical, count, families)
        flags = [family.queueFlags for family in families]
        compute = next(index for index, flag in enumerate(flags) if flag & QUEUE_COMPUTE)
        only_transfers = [
            index
            for index, flag in enumerate(flags)
            if flag & QUEUE_TRANSFER and not flag & (QUEUE_GRAPHICS | QUEUE_COMPUTE)
        ]
        return compute, next(iter(only_transfers), None), families[compute].timestampValidBits

    def _create(self) -> Any:
        ffi, lib = self.vulkan.ffi, self.vulkan.lib
        api = min(self.info.api_version, API_1_3)
        chain = FeatureChain(self.vulkan, api, self.info.extensions)
        chain.enable(self.info.features)
        priority = ffi.new("float[]", [1.0])
        queues = ffi.new("VkDeviceQueueCreateInfo[]", len(self.families))
        for index, family in enumerate(self.families):
            queues[index] = self.vulkan.new(
                "VkDeviceQueueCreateInfo", queueFamilyIndex=family, queueCount=1, pQueuePriorities=priority
            )[0]
        names = [ffi.new("char[]", name.encode()) for name in {*chain.extensions, *self.extensions}]
        extensions = ffi.new("char *[]", names)
        info = self.vulkan.new(
            "VkDeviceCreateInfo",
            pNext=chain.head,
            queueCreateInfoCount=len(self.families),
            pQueueCreateInfos=queues,
            enabledExtensionCount=len(names),
            ppEnabledExtensionNames=extensions,
        )
        device = ffi.new("VkDevice *")
        self.check(lib.vkCreateDevice(self.physical, info, ffi.NULL, device), f"open the device `{self.info.name}`")
        return device[0]
