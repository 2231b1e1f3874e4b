"""`helios` passes the kit of backends, on the device that the Vulkan loader finds."""

import pytest

from alpha_core.backend import Backend
from alpha_helios.backend import Helios
from alpha_testkit.backend import BackendConformance


@pytest.mark.usefixtures("device_available")
class TestHelios(BackendConformance):
    def make_backend(self) -> Backend:
        return Helios()
