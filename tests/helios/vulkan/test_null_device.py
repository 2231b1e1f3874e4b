"""The device that computes nothing."""

import numpy as np
import pytest
from tests.helios.vulkan.kernels import add_kernel, groups, push

from alpha_core.errors import BackendError
from alpha_helios.vulkan.null_device import NULL_GPU, NULL_MINIMUM, NullDevice


@pytest.mark.parametrize("info", [NULL_GPU, NULL_MINIMUM])
def test_it_counts_what_a_device_would_do(info):
    with NullDevice(info) as device:
        kernel = add_kernel()
        add = device.prepare([kernel, kernel])[0]
        with device.memory.allocate(4000) as x, device.memory.allocate(1 << 28):
            device.staging.upload(x, np.zeros(1000, np.float32))
            commands = device.record("adding", reusable=True)
            for _ in range(5):
                commands.dispatch(add, push(x, 1000), groups(1000))
                commands.barrier()
            for _ in range(3):
                value = device.submit(commands)
            device.wait(value)
            assert device.done(value)
            commands.close()
        assert device.recorded_dispatches == commands.dispatches == 5
        assert device.modules == [kernel.words]
        assert device.memory.allocations == 2
        assert device.memory.peak_bytes == 4096 + (1 << 28)


def test_what_would_be_read_back_is_an_error():
    with NullDevice() as device, device.memory.allocate(4) as place:
        for read in (device.staging.download, device.staging.start_download):
            with pytest.raises(BackendError, match="the loss from the null device: it computes nothing"):
                read(place, what="the loss")
        with pytest.raises(BackendError, match="bytes 0 to 5 are not within a place of 4"):
            device.staging.upload(place, np.zeros(5, np.uint8))
