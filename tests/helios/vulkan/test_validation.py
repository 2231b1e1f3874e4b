"""The validation layer."""

import pytest
from tests.helios.vulkan.kernels import add_kernel

from alpha_core.errors import BackendError
from alpha_helios.vulkan import instance
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.errors import ValidationError
from alpha_helios.vulkan.timestamps import Timestamps


def test_what_the_layer_objects_to_is_an_error(device_available):
    with Device(validate=True) as device:
        commands = device.record("wrong")
        # Words that are no words, past the checks of the list.
        with device.memory.allocate(16) as place:
            fill = commands._commands.calls["vkCmdFillBuffer"]
            fill(commands._buffer, place.buffer, place.offset + 2, 4, 0)
        with pytest.raises(ValidationError, match="VUID-vkCmdFillBuffer-dstOffset-00025"):
            device.submit(commands)
        assert [message.error for message in device.messages] == [True]


def test_a_leak_is_an_error_at_close(device_available):
    device = Device(validate=True)
    Timestamps(device._logical, 1)  # nobody closes it
    with pytest.raises(ValidationError, match="VUID-vkDestroyDevice-device-"):
        device.close()


def test_nothing_leaks(device_available):
    device = Device(validate=True, mapped=False)
    device.prepare([add_kernel()])
    device.memory.allocate(100)
    device.staging.start_download(device.memory.allocate(100))
    device.record("never submitted", reusable=True)
    device.timestamps(3)
    device.close()
    device.close()
    assert device.messages == []


def test_the_environment_turns_it_on(device_available, monkeypatch):
    monkeypatch.setenv("ALPHA_HELIOS_VALIDATION", "1")
    with Device() as device:
        assert device._logical.validation is not None
    monkeypatch.setenv("ALPHA_HELIOS_VALIDATION", "0")
    with Device() as device:
        assert device._logical.validation is None
        assert device.messages == []


def test_a_missing_layer_is_an_error(device_available, monkeypatch):
    monkeypatch.setattr(instance, "LAYER", "VK_LAYER_nobody_has")
    with pytest.raises(BackendError, match="and the layer `VK_LAYER_nobody_has` is not installed"):
        Device(validate=True)
