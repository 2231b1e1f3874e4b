"""Places in memory."""

import gc
import weakref
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_core.errors import BackendError
from alpha_helios.vulkan.errors import OutOfDeviceMemoryError
from alpha_helios.vulkan.memory import SLAB_BYTES, Allocation
from alpha_helios.vulkan.null_device import NULL_MINIMUM, NullDevice
from alpha_helios.vulkan.suballocator import ALIGNMENT, Suballocator, aligned

steps = st.lists(st.one_of(st.integers(0, 5000), st.integers(0, 40).map(lambda index: -index - 1)), max_size=200)


def taken_apart(places: list[tuple[int, int]], nbytes: int) -> None:
    """Checks that places (offset, size) are within the range and apart from each other."""
    end = 0
    for offset, size in sorted(places):
        assert offset % ALIGNMENT == 0
        assert offset >= end
        end = offset + size
    assert end <= nbytes


@given(steps)
def test_places_never_overlap_and_all_of_them_come_back(steps):
    """A number from 0 takes that many bytes; a negative one frees one of the places."""
    nbytes = 256 * ALIGNMENT
    range_ = Suballocator(nbytes)
    held: list[tuple[int, int]] = []
    for step in steps:
        if step >= 0:
            offset = range_.take(aligned(step))
            if offset is not None:
                held.append((offset, aligned(step)))
        elif held:
            range_.give_back(*held.pop(step % len(held)))
        taken_apart(held, nbytes)
        assert range_.free_bytes == nbytes - sum(size for _, size in held)
    for place in held:
        range_.give_back(*place)
    assert range_.empty
    assert range_.take(nbytes) == 0  # in one piece


@settings(max_examples=20)
@given(st.lists(st.one_of(st.integers(0, SLAB_BYTES * 2), st.integers(0, 9).map(lambda i: -i - 1)), max_size=30))
def test_addresses_of_a_device_never_overlap(steps):
    with NullDevice() as device:
        held: list[Allocation] = []
        for step in steps:
            if step >= 0:
                held.append(device.memory.allocate(step))
            elif held:
                held.pop(step % len(held)).free()
            ends = sorted((place.address, place.address + aligned(place.nbytes)) for place in held)
            assert all(end <= start for (_, end), (start, _) in pairwise(ends))
            assert device.memory.allocated_bytes == sum(aligned(place.nbytes) for place in held)
            assert device.memory.reserved_bytes >= device.memory.allocated_bytes
        for place in held:
            place.free()
        assert device.memory.allocated_bytes == 0
        device.trim()
        assert device.memory.reserved_bytes == 0


def test_contents_of_many_places_stay_apart(device):
    generator = np.random.default_rng(0)
    held = []
    for index in range(200):
        values = np.full(generator.integers(0, 3000), index, np.uint8)
        place = device.memory.allocate(values.nbytes)
        device.staging.upload(place, values)
        held.append((place, values))
        if index % 3 == 2:
            held.pop(generator.integers(len(held)))[0].free()
    for place, values in held:
        assert place.address % ALIGNMENT == 0
        assert bytes(device.staging.download(place)) == values.tobytes()
        place.free()


def test_a_large_request_gets_a_slab_of_its_own(device):
    with device.memory.allocate(100), device.memory.allocate(SLAB_BYTES + 1) as large:
        assert device.memory.reserved_bytes == SLAB_BYTES + aligned(SLAB_BYTES + 1)
        assert large.slab.nbytes == aligned(SLAB_BYTES + 1)
    assert device.memory.peak_bytes == 256 + aligned(SLAB_BYTES + 1)
    assert device.trim() >= device.memory.peak_bytes
    assert device.memory.reserved_bytes == 0


def test_memory_is_used_again_and_does_not_grow(device):
    for _ in range(1000):
        device.memory.allocate(1 << 20).free()
    assert device.memory.reserved_bytes == SLAB_BYTES
    assert device.memory.peak_bytes == 1 << 20


def test_empty_slabs_make_room_for_what_fits_in_none_of_them():
    with NullDevice(NULL_MINIMUM) as device:  # it has 2 GiB
        for place in [device.memory.allocate(700 << 20) for _ in range(2)]:
            place.free()
        assert device.memory.reserved_bytes == 1400 << 20
        device.memory.allocate(1 << 30).free()
        assert device.memory.reserved_bytes == 1 << 30


def test_freeing_twice_is_an_error(device):
    place = device.memory.allocate(4)
    place.free()
    with pytest.raises(BackendError, match="is freed twice"):
        place.free()


def test_a_finalizer_may_free_in_the_middle_of_anything():
    """Garbage collection at every chance frees places while others are taken."""

    class Owner:
        def __init__(self, device: NullDevice) -> None:
            place = device.memory.allocate(1000)
            weakref.finalize(self, place.free)
            self.myself = self

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        with NullDevice() as device:
            for _ in range(300):
                Owner(device)
            gc.collect()
            assert device.memory.allocate(0).nbytes == 0
            assert device.memory.allocated_bytes == ALIGNMENT
    finally:
        gc.set_threshold(*threshold)


def test_the_limit_is_kept_and_the_error_says_what_was_needed(open_device, monkeypatch):
    monkeypatch.setenv("ALPHA_HELIOS_MEMORY_BYTES", str(100 << 20))
    device = open_device()
    held = device.memory.allocate(90 << 20, "weights")
    small = device.memory.allocate(5 << 20, "a batch")
    with pytest.raises(OutOfDeviceMemoryError) as caught:
        device.memory.allocate(20 << 20, "program `train`")
    assert caught.value.message.startswith("program `train` needs 20.0 MiB of device memory; ")
    assert caught.value.message.endswith(
        "and `ALPHA_HELIOS_MEMORY_BYTES` allows 100.0 MiB; 5.0 MiB are free and 95.0 MiB in use here"
    )
    held.free()
    assert device.memory.available_bytes() == 95 << 20
    device.memory.allocate(20 << 20, "program `train`").free()
    small.free()


def test_more_than_one_buffer_can_hold_is_an_error_of_its_own():
    with NullDevice(NULL_MINIMUM) as device, pytest.raises(OutOfDeviceMemoryError, match=r"gives at most 1\.00 GiB to"):
        device.memory.allocate((1 << 30) + 1, "an arena")


@pytest.mark.parametrize("text", ["many", "-1", "0", "inf"])
def test_a_limit_that_is_no_number_is_an_error(open_device, monkeypatch, text):
    monkeypatch.setenv("ALPHA_HELIOS_MEMORY_BYTES", text)
    with pytest.raises(BackendError, match=f"`ALPHA_HELIOS_MEMORY_BYTES` is `{text}`; a number of bytes above 0"):
        open_device()
