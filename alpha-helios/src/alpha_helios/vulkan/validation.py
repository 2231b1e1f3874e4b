"""The validation layer: on with `ALPHA_HELIOS_VALIDATION=1`; what it says is collected, and its errors are raised."""

import os
from typing import Any

import attrs

from alpha_helios.vulkan.constants import (
    MESSAGE_ERROR,
    MESSAGE_GENERAL,
    MESSAGE_PERFORMANCE,
    MESSAGE_VALIDATION,
    MESSAGE_WARNING,
)
from alpha_helios.vulkan.errors import ValidationError, check
from alpha_helios.vulkan.loader import Vulkan

__all__ = ["LAYER", "Message", "Validation", "validation_wanted"]

LAYER = "VK_LAYER_KHRONOS_validation"
DEBUG_EXTENSION = "VK_EXT_debug_utils"


def validation_wanted() -> bool:
    """Returns whether the environment asks for the layer."""
    return os.environ.get("ALPHA_HELIOS_VALIDATION", "") not in ("", "0")


@attrs.frozen
class Message:
    """One message of the layer."""

    error: bool
    name: str
    """Which rule it is about, such as `VUID-vkCmdDispatch-None-08606`."""
    text: str


class Validation:
    """Collects the messages of one instance, from its creation to its end."""

    def __init__(self, vulkan: Vulkan) -> None:
        self.messages: list[Message] = []
        self._vulkan = vulkan
        self._raised = 0
        self._messenger: Any = None
        self._destroy: Any = None
        self._callback = vulkan.ffi.callback("PFN_vkDebugUtilsMessengerCallbackEXT", self._hear, error=0)
        self.create_info = vulkan.new(
            "VkDebugUtilsMessengerCreateInfoEXT",
            messageSeverity=MESSAGE_WARNING | MESSAGE_ERROR,
            messageType=MESSAGE_GENERAL | MESSAGE_VALIDATION | MESSAGE_PERFORMANCE,
            pfnUserCallback=self._callback,
        )

    def start(self, instance: Any) -> None:
        """Listens to an instance, which was created with `create_info` in its chain."""
        ffi, lib = self._vulkan.ffi, self._vulkan.lib
        create = lib.vkGetInstanceProcAddr(instance, b"vkCreateDebugUtilsMessengerEXT")
        self._destroy = ffi.cast(
            "PFN_vkDestroyDebugUtilsMessengerEXT",
            lib.vkGetInstanceProcAddr(instance, b"vkDestroyDebugUtilsMessengerEXT"),
        )
        messenger = ffi.new("VkDebugUtilsMessengerEXT *")
        create = ffi.cast("PFN_vkCreateDebugUtilsMessengerEXT", create)
        check(create(instance, self.create_info, ffi.NULL, messenger), "listen to the validation layer")
        self._messenger = messenger[0]

    def stop(self, instance: Any) -> None:
        """Ends listening; destroying the instance is still heard."""
        if self._messenger is not None:
            self._destroy(instance, self._messenger, self._vulkan.ffi.NULL)
            self._messenger = None

    def raise_errors(self) -> None:
        """Raises `ValidationError` for the errors that came since it was last called."""
        errors = [message for message in self.messages[self._raised :] if message.error]
        self._raised = len(self.messages)
        if errors:
            raise ValidationError("; ".join(f"{message.name}: {message.text}" for message in errors))

    def _hear(self, severity: int, _types: int, data: Any, _user: Any) -> int:
        name = self._vulkan.text(data.pMessageIdName) if data.pMessageIdName else ""
        if not name.startswith("Loader"):  # drivers of other devices that cannot be loaded
            self.messages.append(Message(severity >= MESSAGE_ERROR, name, self._vulkan.text(data.pMessage)))
        return 0
