"""Moments on the device."""

import time

import numpy as np
import pytest
from tests.helios.vulkan.kernels import add_kernel, groups, push

from alpha_core.errors import BackendError
from alpha_helios.vulkan.null_device import NullDevice


def test_moments_of_kernels_lie_in_order_between_submission_and_end(device):
    add = device.prepare([add_kernel()])[0]
    with device.memory.allocate(4 << 16) as place:
        device.staging.upload(place, np.zeros(1 << 16, np.float32))
        timestamps = device.timestamps(4)
        commands = device.record("timed", reusable=True)
        commands.reset_timestamps(timestamps)
        for index in range(4):
            commands.dispatch(add, push(place, 1 << 16), groups(1 << 16))
            commands.barrier()
            commands.timestamp(timestamps, index)
        device.calibrate()
        for _ in range(2):
            before = time.perf_counter()
            device.wait(device.submit(commands))
            after = time.perf_counter()
            moments = [device.seconds(ticks) for ticks in timestamps.read()]
            assert moments == sorted(moments)
            assert (
                before - 0.05 < moments[0] <= moments[-1] < after + 0.05
            )  # how well two clocks are compared when busy
        assert timestamps.read(0) == []
        commands.close()
        timestamps.close()


def test_without_timestamps_asking_is_an_error():
    with NullDevice() as device, pytest.raises(BackendError, match="`null` has no timestamps"):
        device.timestamps(1)
