"""The backend, on a device that multiplies matrices."""

import pytest

from alpha_helios.backend import Helios
from alpha_helios.fast_paths import FAST_PATHS


def lacking(helios: Helios, name: str) -> str | None:
    """Returns why the device cannot take a fast path, or None."""
    return next(path for path in FAST_PATHS if path.name == name).lacking(helios.info)


@pytest.fixture
def coop(helios: Helios) -> Helios:
    """Skips where the device has no cooperative matrices; CI does not let that pass on the device that has them."""
    reason = lacking(helios, "coop")
    if reason is not None:
        pytest.skip(f"needs a Vulkan device with cooperative matrices: {reason}")
    return helios
