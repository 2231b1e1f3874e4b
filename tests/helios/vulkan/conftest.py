"""Devices for tests of the runtime: the one that the Vulkan loader finds, with the validation layer on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alpha_core.file_cache import FileCache
from alpha_helios.vulkan.device import Device

OpenDevice = Callable[..., Device]


@pytest.fixture
def open_device(device_available: None, tmp_path: Any) -> Iterator[OpenDevice]:
    """Opens devices that are closed after the test, when the layer must have said nothing."""
    opened: list[Device] = []

    def open_one(**options: Any) -> Device:
        options.setdefault("validate", True)
        options.setdefault("pipeline_files", FileCache("pipelines", tmp_path / "pipelines"))
        options.setdefault("tuning_files", FileCache("tuning", tmp_path / "tuning"))
        opened.append(Device(**options))
        return opened[-1]

    yield open_one
    for device in opened:
        device.close()
        assert device.messages == []


@pytest.fixture(scope="module", params=[True, False], ids=["mapped", "staged"])
def module_device(device_available: None, request: pytest.FixtureRequest) -> Iterator[Device]:
    """A device whose memory the processor reaches, and one whose memory it does not."""
    with Device(mapped=request.param, ring_bytes=1 << 16, validate=True) as device:
        yield device
    assert device.messages == []


@pytest.fixture
def device(module_device: Device) -> Iterator[Device]:
    """The same, with nothing taken; a test leaves it so."""
    module_device.trim()
    module_device.memory.peak_bytes = 0
    yield module_device
    module_device.wait()
    assert module_device.memory.allocated_bytes == 0
    assert module_device.messages == []
