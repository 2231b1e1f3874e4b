"""A backend that records programs and plans their memory without a GPU."""

import attrs

from alpha_core.errors import BackendError
from alpha_helios.backend import Helios, allowed_bytes
from alpha_helios.selftest import remembered, tuning_key
from alpha_helios.vulkan.device_info import DeviceInfo, MemoryHeap
from alpha_helios.vulkan.null_device import NULL_GPU, NullDevice
from alpha_helios.vulkan.probe import choose_device, selected

__all__ = ["load_planner", "planner"]

_BOUNDLESS = 1 << 60
"""What does not fit is planned too."""


def load_planner() -> Helios:
    """Opens a planner for the device of this machine, or for a GPU like those of today where there is none.

    Raises `BackendError` if `ALPHA_HELIOS_DEVICE` asks for a device that is not there.
    """
    try:
        return planner(choose_device())
    except BackendError:
        if selected(None) is not None:
            raise
        return planner(None)


def planner(info: DeviceInfo | None) -> Helios:
    """Opens a planner for a device."""
    gpu = attrs.evolve(NULL_GPU, name="a GPU like those of today") if info is None else info
    limits = attrs.evolve(gpu.limits, max_allocation=_BOUNDLESS)
    device = NullDevice(attrs.evolve(gpu, heaps=(MemoryHeap(_BOUNDLESS, True),), limits=limits), limited=False)
    return Planner(device, None if info is None else allowed_bytes(info))


class Planner(Helios):
    """Chooses kernels as it would on the device, without the fast paths that were wrong there."""

    def __init__(self, device: NullDevice, memory_bytes: int | None) -> None:
        super().__init__(device)
        self._memory_bytes = memory_bytes
        for path, reason in remembered(device.tuning.read(tuning_key())).items():
            if reason is not None and path in self.paths.on:
                self.paths.switch_off(path, reason)

    @property
    def memory_bytes(self) -> int | None:
        return self._memory_bytes

    @property
    def description(self) -> str:
        return f"helios (planned for {self.info.name})"
