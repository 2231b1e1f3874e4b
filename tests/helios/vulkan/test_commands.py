"""Lists of commands."""

import threading

import numpy as np
import pytest
from tests.helios.vulkan.kernels import add_kernel, groups, push

from alpha_core.errors import BackendError


def floats(device, place):
    return np.frombuffer(device.staging.download(place), np.float32)


@pytest.fixture
def place(device):
    with device.memory.allocate(4000) as place:
        device.staging.upload(place, np.arange(1000, dtype=np.float32))
        yield place


def test_a_list_is_recorded_once_and_runs_as_often_as_it_is_submitted(device, place):
    add = device.prepare([add_kernel()])[0]
    commands = device.record("adding", reusable=True)
    for _ in range(10):
        commands.dispatch(add, push(place, 1000), groups(1000))
        commands.barrier()
    assert commands.dispatches == 10
    values = [device.submit(commands) for _ in range(20)]  # nobody waits in between
    assert values == list(range(values[0], values[0] + 20))
    assert np.array_equal(floats(device, place), np.arange(1000) + 200)
    assert device.done(values[-1])
    commands.close()


def test_a_list_for_once_cannot_be_submitted_again(device):
    commands = device.record("nothing")
    device.submit(commands)
    with pytest.raises(BackendError, match="the commands of nothing were submitted or closed before"):
        device.submit(commands)


def test_command_buffers_are_used_again(device):
    device.wait(device.submit(device.record("nothing")))
    before = len(device._commands._all)
    for _ in range(300):
        device.wait(device.submit(device.record("nothing")))
    assert len(device._commands._all) == before


def test_a_closed_list_still_runs_to_its_end(device, place):
    add = device.prepare([add_kernel()])[0]
    for _ in range(50):
        commands = device.record("adding", reusable=True)
        commands.dispatch(add, push(place, 1000), groups(1000))
        device.submit(commands)
        commands.close()
    assert np.array_equal(floats(device, place), np.arange(1000) + 50)


def test_copies_and_fills(device, place):
    with device.memory.allocate(10) as other:
        commands = device.record("copying")
        commands.fill(other, 0x04030201)
        commands.barrier()
        commands.copy(place, other, 5, 2, 1)
        commands.copy(place, other, 0)
        commands.barrier()
        commands.fill(place, 0, 4, 8)
        device.submit(commands)
        source = np.arange(1000, dtype=np.float32).tobytes()
        assert bytes(device.staging.download(other)) == bytes([1, *source[2:7], 3, 4, 1, 2])
        assert floats(device, place)[:4].tolist() == [0, 0, 0, 3]


def test_what_is_out_of_range_is_refused(device, place):
    commands = device.record("wrong")
    with device.memory.allocate(8) as other:
        with pytest.raises(BackendError, match="bytes 4 to 12 are not within a place of 8"):
            commands.copy(place, other, 8, 0, 4)
        with pytest.raises(BackendError, match="bytes 0 to 4001 are not within a place of 4000"):
            commands.copy(place, other, 4001)
        with pytest.raises(BackendError, match="bytes 2 to 6 are no whole words"):
            commands.fill(other, 0, 2, 4)
    commands.end()
    commands.close()


def test_a_dispatch_is_checked(device, place):
    add = device.prepare([add_kernel()])[0]
    commands = device.record("wrong", reusable=True)
    most = device.info.limits.max_workgroup_count[0]
    with pytest.raises(
        BackendError, match=f"kernel `add` is to run on {most + 1} x 1 x 1 workgroups; at most {most} x"
    ):
        commands.dispatch(add, push(place, 1), (most + 1, 1, 1))
    with pytest.raises(BackendError, match="kernel `add` takes 12 bytes of push constants, not 3"):
        commands.dispatch(add, b"123", (1, 1, 1))
    commands.dispatch(add, push(place, 1), (0, 1, 1))
    device.submit(commands)
    assert floats(device, place)[0] == 0
    commands.close()


def test_threads_may_submit_at_the_same_time(device):
    add = device.prepare([add_kernel()])[0]
    places = [device.memory.allocate(4) for _ in range(4)]
    for place in places:
        device.staging.upload(place, np.zeros(1, np.float32))
    failures = []

    def work(place):
        try:
            for _ in range(50):
                commands = device.record("adding")
                commands.dispatch(add, push(place, 1), (1, 1, 1))
                device.wait(device.submit(commands))
        except Exception as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [floats(device, place)[0] for place in places] == [50] * 4
    for place in places:
        place.free()
