"""Which device is used."""

import attrs
import pytest

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import API_1_2, api_version
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.device_info import KIND_ORDER, DeviceInfo, choose
from alpha_helios.vulkan.null_device import NULL_GPU
from alpha_helios.vulkan.probe import choose_device, list_devices


def info(index: int, name: str, kind: str, **changes: object) -> DeviceInfo:
    return attrs.evolve(NULL_GPU, index=index, name=name, kind=kind, **changes)  # type: ignore[arg-type]


DEVICES = [
    info(0, "Old GPU", "discrete", api_version=api_version(1, 1)),
    info(1, "Big GPU", "discrete"),
    info(2, "Small GPU", "integrated"),
    info(3, "llvmpipe", "cpu"),
]


@pytest.mark.parametrize(
    ("selection", "name"), [(None, "Big GPU"), ("2", "Small GPU"), ("LLVM", "llvmpipe"), ("gpu", "Big GPU")]
)
def test_the_first_that_works_or_the_one_that_is_named(selection, name):
    assert choose(DEVICES, selection).name == name


@pytest.mark.parametrize("selection", ["9", "radeon", "-1"])
def test_a_device_that_is_not_there_is_an_error_that_lists_those_that_are(selection):
    with pytest.raises(BackendError) as caught:
        choose(DEVICES, selection)
    assert caught.value.message == (
        f"no Vulkan device is `{selection}`; there are 0: Old GPU (it has Vulkan 1.1.0, and 1.2 is needed); "
        "1: Big GPU (discrete); 2: Small GPU (integrated); 3: llvmpipe (cpu)"
    )


def test_a_device_that_lacks_what_is_needed_is_refused_with_the_reason():
    lacking = info(0, "GPU", "discrete", api_version=API_1_2, features=frozenset({"timelineSemaphore"}))
    with pytest.raises(BackendError, match="`GPU` cannot be used: it lacks `bufferDeviceAddress`"):
        choose([lacking], "gpu")
    with pytest.raises(BackendError, match=r"no Vulkan device of this machine can be used; there are 0: GPU"):
        choose([lacking], None)
    with pytest.raises(BackendError, match="there is no Vulkan device on this machine"):
        choose([], None)


def test_devices_are_listed_with_real_gpus_first(device_available):
    devices = list_devices()
    assert [device.index for device in devices] == list(range(len(devices)))
    order = [KIND_ORDER.index(device.kind) for device in devices]
    assert order == sorted(order)
    for device in devices:
        assert device.name
        assert device.driver
        assert device.memory_bytes > 0
        assert device.subgroup_sizes[0] <= device.subgroup_size <= device.subgroup_sizes[1]
        assert device.limits.max_push_constants >= 128


def test_the_environment_chooses(device_available, monkeypatch):
    last = list_devices()[-1]
    monkeypatch.setenv("ALPHA_HELIOS_DEVICE", str(last.index))
    assert choose_device() == last
    with Device() as device:
        assert device.info == last
    monkeypatch.setenv("ALPHA_HELIOS_DEVICE", "no such device")
    with pytest.raises(BackendError, match=f"no Vulkan device is `no such device`; there are 0: .*{last.kind}"):
        Device()


def test_a_device_with_cooperative_matrices_lists_their_shapes(device_available):
    for device in list_devices():
        assert bool(device.cooperative_shapes) == ("cooperativeMatrix" in device.features)
        assert bool(device.flexible_shapes) == ("cooperativeMatrixFlexibleDimensions" in device.features)
        for shape in device.cooperative_shapes:
            assert shape.m * shape.n * shape.k > 0
            assert {shape.a, shape.b, shape.c, shape.result} <= {"f16", "bf16", "f32", "f64", *_INTEGERS, *_F8}
        for flexible in device.flexible_shapes:
            assert (flexible.scope == "workgroup") == (flexible.workgroup_invocations > 0)


_INTEGERS = {f"{sign}{bits}" for sign in "iu" for bits in (8, 16, 32, 64)}
_F8 = {"f8e4m3", "f8e5m2"}
