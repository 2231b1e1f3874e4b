"""Uploads and downloads."""

import numpy as np
import pytest
from tests.helios.vulkan.kernels import add_kernel, groups, push

from alpha_core.errors import BackendError

RING = 1 << 16
SIZES = [0, 1, 2, 3, 4, 5, 255, 256, 257, RING // 4, RING // 4 + 1, RING - 1, RING, RING + 1, 3 * RING + 7]


@pytest.mark.parametrize("nbytes", SIZES)
def test_every_size_arrives_whole(device, nbytes):
    values = np.random.default_rng(nbytes).integers(0, 256, nbytes, np.uint8)
    with device.memory.allocate(nbytes) as place:
        device.staging.upload(place, values)
        assert bytes(device.staging.download(place)) == values.tobytes()
        assert device.staging.start_download(place).result() == values.tobytes()


def test_parts_of_a_place(device):
    with device.memory.allocate(100) as place:
        device.staging.upload(place, np.zeros(100, np.uint8))
        device.staging.upload(place, np.arange(1, 8, dtype=np.uint8), 13)
        assert bytes(device.staging.download(place, 12, 9)) == bytes([0, 1, 2, 3, 4, 5, 6, 7, 0])
        assert device.staging.start_download(place, 19, 2).result() == bytes([7, 0])


def test_any_array_is_taken_as_its_elements_in_order(device):
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    with device.memory.allocate(48) as place:
        for array in (values, values.T, values[::-1], np.broadcast_to(np.float32(3), (3, 4))):
            device.staging.upload(place, array)
            assert bytes(device.staging.download(place)) == array.tobytes()


def test_an_array_may_change_as_soon_as_it_was_given(device):
    with device.memory.allocate(RING) as place:
        values = np.empty(RING, np.uint8)
        for number in range(20):
            values[:] = number
            device.staging.upload(place, values)
            values[:] = 255
            assert set(device.staging.download(place)) == {number}


def test_transfers_keep_their_order_with_kernels(device):
    """Every upload lands after the kernels before it and before those behind it, although nobody waits."""
    add = device.prepare([add_kernel()])[0]
    count = 10_000
    expected, results = [], []
    with device.memory.allocate(4 * count) as place:
        for number in range(12):
            device.staging.upload(place, np.full(count, 10 * number, np.float32))
            commands = device.record("adding")
            for _ in range(3):
                commands.dispatch(add, push(place, count), groups(count))
                commands.barrier()
            device.submit(commands)
            results.append(device.staging.start_download(place))
            expected.append(np.full(count, 10 * number + 3, np.float32))
        for result, wanted in zip(results, expected, strict=True):
            assert np.array_equal(np.frombuffer(result.result(), np.float32), wanted)


def test_what_was_asked_for_is_not_changed_by_what_comes_later(device):
    add = device.prepare([add_kernel()])[0]
    with device.memory.allocate(4) as place:
        device.staging.upload(place, np.zeros(1, np.float32))
        commands = device.record("adding", reusable=True)
        commands.dispatch(add, push(place, 1), (1, 1, 1))
        losses = []
        for _ in range(50):
            device.submit(commands)
            losses.append(device.staging.start_download(place))
        assert [np.frombuffer(loss.result(), np.float32)[0] for loss in losses] == list(range(1, 51))
        assert all(loss.ready() for loss in losses)
        commands.close()


@pytest.mark.parametrize(("offset", "nbytes"), [(0, 101), (100, 1), (-1, 1), (101, 0)])
def test_bytes_outside_of_the_place_are_refused(device, offset, nbytes):
    with device.memory.allocate(100) as place:
        for transfer in (
            lambda: device.staging.upload(place, np.zeros(nbytes, np.uint8), offset),
            lambda: device.staging.download(place, offset, nbytes),
            lambda: device.staging.start_download(place, offset, nbytes),
        ):
            with pytest.raises(
                BackendError, match=f"bytes {offset} to {offset + nbytes} are not within a place of 100"
            ):
                transfer()


def test_many_downloads_do_not_grow_memory(device):
    with device.memory.allocate(4) as place:
        device.staging.upload(place, np.ones(1, np.float32))
        device.staging.start_download(place).result()
        before = device.host_memory.reserved_bytes
        for _ in range(500):
            device.staging.start_download(place).result()
        assert device.host_memory.reserved_bytes == before
