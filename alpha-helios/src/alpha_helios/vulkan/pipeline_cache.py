"""The driver's pipeline cache, kept on disk for each device and version of its driver."""

import hashlib
from typing import Any

from alpha_core.file_cache import FileCache
from alpha_helios.vulkan.constants import SUCCESS
from alpha_helios.vulkan.device_info import DeviceInfo
from alpha_helios.vulkan.logical_device import LogicalDevice

__all__ = ["PipelineCache", "cache_key"]

_HEADER_BYTES = 32
_SAVE_AFTER = 32
"""How many new pipelines are worth saving at once; what a killed process has not saved is compiled again."""


def cache_key(info: DeviceInfo) -> str:
    """Names a device and its driver: what they made is good for nothing else."""
    parts = (info.name, info.device_uuid, info.pipeline_cache_uuid, info.driver, info.driver_version, info.api_version)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class PipelineCache:
    """`VkPipelineCache`, filled from disk at the start and merged with what is there when it is saved."""

    def __init__(self, device: LogicalDevice, files: FileCache | None = None) -> None:
        self._device = device
        self._files = files or FileCache("pipelines", suffix=".bin")
        self._key = cache_key(device.info)
        self._unsaved = 0
        self.loaded_bytes = 0
        """What was found on disk."""
        stored = self._read()
        self.handle: Any = self._new(stored)
        self.loaded_bytes = len(stored)

    def note(self, count: int) -> None:
        """Counts new pipelines, and saves now and then."""
        self._unsaved += count
        if self._unsaved >= _SAVE_AFTER:
            self.save()

    def save(self) -> None:
        """Writes what the driver keeps, together with what other processes have written meanwhile."""
        if not self._unsaved or self._device.lost is not None:
            return
        self._unsaved = 0
        lib, ffi = self._device.vulkan.lib, self._device.vulkan.ffi
        stored = self._read()
        if stored:
            other = self._new(stored)
            sources = ffi.new("VkPipelineCache[]", [other])
            lib.vkMergePipelineCaches(self._device.handle, self.handle, 1, sources)
            lib.vkDestroyPipelineCache(self._device.handle, other, ffi.NULL)
        contents = self._contents()
        if len(contents) > _HEADER_BYTES and contents != stored:
            self._files.write(self._key, contents)

    def close(self) -> None:
        """Destroys it; what was not saved is lost."""
        lib, ffi = self._device.vulkan.lib, self._device.vulkan.ffi
        lib.vkDestroyPipelineCache(self._device.handle, self.handle, ffi.NULL)

    def _read(self) -> bytes:
        return self._files.read(self._key) or b""

    def _new(self, contents: bytes) -> Any:
        vulkan = self._device.vulkan
        data = vulkan.ffi.new("char[]", contents)
        info = vulkan.new("VkPipelineCacheCreateInfo", initialDataSize=len(contents), pInitialData=data)
        cache = vulkan.ffi.new("VkPipelineCache *")
        result = vulkan.lib.vkCreatePipelineCache(self._device.handle, info, vulkan.ffi.NULL, cache)
        self._device.check(result, "make a pipeline cache")
        return cache[0]

    def _contents(self) -> bytes:
        device, vulkan = self._device, self._device.vulkan
        ffi, lib = vulkan.ffi, vulkan.lib
        size = ffi.new("size_t *")
        device.check(lib.vkGetPipelineCacheData(device.handle, self.handle, size, ffi.NULL), "read the pipeline cache")
        data = ffi.new("char[]", size[0])
        if lib.vkGetPipelineCacheData(device.handle, self.handle, size, data) != SUCCESS:
            return b""  # another thread added to it meanwhile; the next time will do
        return bytes(ffi.buffer(data, size[0]))
