"""`helios` passes the kit of backends, on the device that the Vulkan loader finds."""

import pytest

from alpha_core.backend import Backend
from alpha_helios.backend import Helios
from alpha_helios.vulkan.loader import reason_unavailable
from alpha_testkit.backend import BackendConformance

pytestmark = pytest.mark.skipif(reason_unavailable() is not None, reason=f"no Vulkan device: {reason_unavailable()}")


class TestHelios(BackendConformance):
    def make_backend(self) -> Backend:
        return Helios()
