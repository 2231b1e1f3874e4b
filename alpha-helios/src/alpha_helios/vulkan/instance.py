"""A connection to Vulkan and the physical devices behind it."""

from typing import Any

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import (
    API_1_2,
    API_1_3,
    ERROR_INCOMPATIBLE_DRIVER,
    ERROR_LAYER_NOT_PRESENT,
    SUCCESS,
    version_text,
)
from alpha_helios.vulkan.errors import VulkanError, check
from alpha_helios.vulkan.loader import vulkan
from alpha_helios.vulkan.validation import DEBUG_EXTENSION, LAYER, Validation, validation_wanted

__all__ = ["Instance"]


class Instance:
    """A context manager around `VkInstance`, with the validation layer if it is wanted."""

    def __init__(self, validate: bool | None = None) -> None:
        """Raises `BackendError` if there is no loader, it is older than Vulkan 1.2, or the wanted layer is missing."""
        self.vulkan = vulkan()
        self.validation = Validation(self.vulkan) if (validation_wanted() if validate is None else validate) else None
        self.api = min(self._loader_version(), API_1_3)
        if self.api < API_1_2:
            raise BackendError(
                f"the Vulkan loader of this machine is version {version_text(self.api)}; 1.2 is needed",
                hint="update the driver of the GPU",
            )
        self.handle = self._create()
        if self.validation is not None:
            self.validation.start(self.handle)

    def __enter__(self) -> "Instance":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Destroys the instance; raises `ValidationError` for what the layer says to that."""
        if self.handle is None:
            return
        if self.validation is not None:
            self.validation.stop(self.handle)
        self.vulkan.lib.vkDestroyInstance(self.handle, self.vulkan.ffi.NULL)
        self.handle = None
        if self.validation is not None:
            self.validation.raise_errors()

    def physical_devices(self) -> list[Any]:
        """Returns the handles of all devices, in the order of the loader; none is opened."""
        ffi, lib = self.vulkan.ffi, self.vulkan.lib
        count = ffi.new("uint32_t *")
        result = lib.vkEnumeratePhysicalDevices(self.handle, count, ffi.NULL)
        if result != SUCCESS or not count[0]:
            return []  # the loader finds drivers that cannot work here, which is as good as none
        handles = ffi.new("VkPhysicalDevice[]", count[0])
        lib.vkEnumeratePhysicalDevices(self.handle, count, handles)
        return list(handles[0 : count[0]])

    def function(self, name: str) -> Any:
        """Returns a function of an instance extension, or None if there is none of that name."""
        address = self.vulkan.lib.vkGetInstanceProcAddr(self.handle, name.encode())
        return self.vulkan.ffi.cast(f"PFN_{name}", address) if address != self.vulkan.ffi.NULL else None

    def address(self, name: str) -> int:
        """Returns the address of a function that the `vulkan` package does not declare; 0 if there is none."""
        ffi = self.vulkan.ffi
        return int(ffi.cast("uintptr_t", self.vulkan.lib.vkGetInstanceProcAddr(self.handle, name.encode())))

    def _loader_version(self) -> int:
        version = self.vulkan.ffi.new("uint32_t *")
        check(self.vulkan.lib.vkEnumerateInstanceVersion(version), "ask the Vulkan loader for its version")
        return int(version[0])

    def _create(self) -> Any:
        ffi, lib = self.vulkan.ffi, self.vulkan.lib
        name = ffi.new("char[]", b"alpha-helios")
        application = self.vulkan.new("VkApplicationInfo", pApplicationName=name, pEngineName=name, apiVersion=self.api)
        info = self.vulkan.new("VkInstanceCreateInfo", pApplicationInfo=application)
        layer, extension = ffi.new("char[]", LAYER.encode()), ffi.new("char[]", DEBUG_EXTENSION.encode())
        layers, extensions = ffi.new("char *[]", [layer]), ffi.new("char *[]", [extension])
        if self.validation is not None:
            info.pNext = self.validation.create_info
            info.enabledLayerCount, info.ppEnabledLayerNames = 1, layers
            info.enabledExtensionCount, info.ppEnabledExtensionNames = 1, extensions
        instance = ffi.new("VkInstance *")
        try:
            check(lib.vkCreateInstance(info, ffi.NULL, instance), "open Vulkan")
        except VulkanError as error:
            if error.result == ERROR_LAYER_NOT_PRESENT:
                raise BackendError(
                    f"`ALPHA_HELIOS_VALIDATION` is set, and the layer `{LAYER}` is not installed",
                    hint="install it (Debian, Ubuntu: `vulkan-validationlayers`), or unset the variable",
                ) from error
            if error.result == ERROR_INCOMPATIBLE_DRIVER:
                raise BackendError("there is no Vulkan driver on this machine that works") from error
            raise
        return instance[0]
