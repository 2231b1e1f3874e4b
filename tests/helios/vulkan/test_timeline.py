"""Waiting for the device, and what happens when it does not answer."""

import time

import numpy as np
import pytest

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import ERROR_DEVICE_LOST
from alpha_helios.vulkan.errors import DeviceLostError, DeviceTimeoutError
from alpha_helios.vulkan.null_device import NullDevice
from alpha_helios.vulkan.staging import Staging


def test_waiting_ends_when_the_time_is_over(device):
    start = time.monotonic()
    with pytest.raises(DeviceTimeoutError, match=r"program `train` did not finish on `.*` within 0.25 s"):
        device.wait(device.submitted + 1, "program `train`", timeout=0.25)
    assert 0.2 < time.monotonic() - start < 5


def test_the_environment_sets_how_long_to_wait(open_device, monkeypatch):
    monkeypatch.setenv("ALPHA_HELIOS_TIMEOUT_S", "0.1")
    device = open_device()
    with pytest.raises(DeviceTimeoutError, match=r"within 0.1 s\nhint: `ALPHA_HELIOS_TIMEOUT_S` sets how long"):
        device.wait(device.submitted + 1)
    monkeypatch.setenv("ALPHA_HELIOS_TIMEOUT_S", "soon")
    with pytest.raises(BackendError, match="`ALPHA_HELIOS_TIMEOUT_S` is `soon`; a number of seconds above 0 is needed"):
        open_device()


def lost_after(device: NullDevice, call: str) -> None:
    """Makes the driver lose the device at the next call of a function."""
    queue = device._queue
    setattr(queue, {"vkQueueSubmit": "_submit", "vkWaitSemaphores": "_wait"}[call], lambda *_: ERROR_DEVICE_LOST)


@pytest.mark.parametrize(
    ("call", "said"),
    [("vkQueueSubmit", "start program `train`, step 7"), ("vkWaitSemaphores", "finish program `train`, step 7")],
)
def test_a_lost_device_is_named_and_stays_lost(call, said):
    with NullDevice() as device:
        commands = device.record("program `train`", reusable=True)
        lost_after(device, call)
        message = f"the device was lost (VK_ERROR_DEVICE_LOST), noticed when it was to {said}"
        with pytest.raises(DeviceLostError) as caught:
            device.wait(device.submit(commands, "program `train`, step 7"), "program `train`, step 7")
        assert caught.value.message == message
        for later in (
            lambda: device.record("another"),
            lambda: device.submit(commands),
            lambda: device.wait(device.submitted + 1),
            lambda: device.memory.allocate(1 << 28),
        ):
            with pytest.raises(DeviceLostError) as caught:
                later()
            assert caught.value.message == message


class TransferQueue:
    """A null device with a second queue, of which every submission is written down."""

    def __init__(self, device: NullDevice) -> None:
        from alpha_helios.vulkan.commands import CommandPool
        from alpha_helios.vulkan.timeline import Queue

        self.queue = Queue(device._logical, 0, "transfers")
        self.staging = Staging(
            device._commands, CommandPool(device._logical, self.queue, compute=False), device.host_memory, 1 << 22
        )
        device.staging = self.staging
        self.sent: list[tuple[str, int, list[tuple[str, int]]]] = []
        for queue in (device._queue, self.queue):
            queue.submit = self.noting(queue, queue.submit)  # type: ignore[method-assign]

    def noting(self, queue, submit):
        def noted(buffer, waits, what):
            value = submit(buffer, waits, what)
            self.sent.append((queue.name, value, [(other.name, number) for other, number in waits]))
            return value

        return noted


def test_large_transfers_go_to_their_own_queue_and_both_queues_wait_for_each_other():
    with NullDevice() as device:
        transfers = TransferQueue(device)
        place = device.memory.allocate(1 << 20)
        device.submit(device.record("before"))
        transfers.staging.upload(place, np.zeros(1 << 20, np.uint8))
        transfers.staging.upload(place, np.zeros(16, np.uint8))
        device.submit(device.record("after"))
        transfers.staging.start_download(place)
        device.submit(device.record("last"))
        transfers.staging.upload(place, np.zeros(1 << 19, np.uint8), after=2)
        assert transfers.sent == [
            ("kernels", 1, []),
            ("transfers", 1, [("kernels", 1)]),
            ("kernels", 2, [("transfers", 1)]),  # a small upload, in order with the kernels
            ("kernels", 3, []),
            ("transfers", 2, [("kernels", 3)]),
            ("kernels", 4, [("transfers", 2)]),  # it may overwrite what is being read
            ("transfers", 3, [("kernels", 2)]),  # beside submissions 3 and 4, which do not use the place
        ]
        transfers.staging.close()
