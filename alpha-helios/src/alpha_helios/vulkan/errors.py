"""What can go wrong with a device, and the one place where a result of Vulkan becomes an error."""

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import ERROR_DEVICE_LOST, RESULTS, SUCCESS

__all__ = ["DeviceLostError", "DeviceTimeoutError", "OutOfDeviceMemoryError", "ValidationError", "VulkanError", "check"]


class VulkanError(BackendError):
    """A call of Vulkan failed; `result` is what it returned."""

    def __init__(self, message: str, *, result: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.result = result


class DeviceLostError(BackendError):
    """The device stopped working; nothing that it holds can be read any more. The process has to open it again."""


class DeviceTimeoutError(BackendError):
    """The device did not finish within the time that was allowed."""


class OutOfDeviceMemoryError(BackendError):
    """The device has no room for what was asked for."""


class ValidationError(BackendError):
    """The validation layer objects to how this package uses Vulkan."""


def check(result: int, what: str) -> None:
    """Raises `DeviceLostError` or `VulkanError` unless a call that was to do `what` returned `VK_SUCCESS`."""
    if result == SUCCESS:
        return
    if result == ERROR_DEVICE_LOST:
        raise DeviceLostError(lost_message(what))
    raise VulkanError(f"cannot {what}: {RESULTS.get(result, f'VkResult {result}')}", result=result)


def lost_message(what: str) -> str:
    """What is said about a device that stopped working while it did `what`."""
    return f"the device was lost (VK_ERROR_DEVICE_LOST), noticed when it was to {what}"
