"""The test of values at the start: a path that computes wrong numbers is off and announced, and results are right."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_core.errors import BackendError
from alpha_helios.backend import Helios
from alpha_helios.checks import BASE, CHECKS, Check
from alpha_helios.fast_paths import FAST_PATHS, Paths, restricted
from alpha_helios.kernels.access import Elements
from alpha_helios.kernels.teams import Team
from alpha_helios.vulkan.commands import CommandPool
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.errors import DeviceLostError
from alpha_helios.vulkan.null_device import NULL_GPU, NULL_MINIMUM, NullDevice
from alpha_helios.vulkan.staging import Staging
from alpha_helios.vulkan.timeline import Queue

Open = Callable[..., Helios]


@pytest.fixture
def opened(device_available: None, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens backends that know of no test so far, of no kernel, and of no wish of the person who runs this."""
    monkeypatch.setenv("ALPHA_CACHE", str(tmp_path))
    for variable in ("ALPHA_HELIOS_DISABLE", "ALPHA_HELIOS_SELFTEST", "ALPHA_FAIL_ON_SMOKE_TEST"):
        monkeypatch.delenv(variable, raising=False)
    backends: list[Helios] = []

    def make(device: Device | None = None) -> Helios:
        backends.append(Helios(device))
        return backends[-1]

    yield make
    for backend in backends:
        backend.close()


@pytest.fixture
def wrong_shuffles(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a driver would do that miscompiles them."""
    right = Team._by_shuffles
    monkeypatch.setattr(Team, "_by_shuffles", lambda self, operation, value: right(self, operation, value) * 1.01)


def softmax_error(backend: Helios) -> float:
    x = np.random.default_rng(1).standard_normal((6, 50)).astype(np.float32)
    want = np.exp(x.astype(np.float64))
    want /= want.sum(1, keepdims=True)
    return float(np.abs(backend.download(backend.softmax(backend.upload(x))) - want).max())


def test_right_paths_are_on_and_nothing_is_said(opened: Open) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend = opened()
    wrong = {name: reason for name, reason in backend.paths.off.items() if "no queue" not in reason}
    assert {"subgroups", "16bit", "8bit"} <= set(backend.paths.on), wrong
    assert softmax_error(backend) < 1e-6


@pytest.mark.usefixtures("wrong_shuffles")
def test_a_wrong_path_is_announced_and_switched_off(opened: Open) -> None:
    with pytest.warns(UserWarning, match="fast path") as said:
        backend = opened()
    (line,) = [str(warning.message) for warning in said]
    assert line.startswith(
        f"fast path `subgroups` is off: `{backend.info.name}` computes wrong numbers with it: sums: "
    )
    assert line.endswith(" (`ALPHA_HELIOS_DISABLE=subgroups` silences this)")
    assert "70 of 70 values, such as " in line
    assert set(backend.paths.off) - {"transfers"} == {"subgroups", "coop", "coop2"}  # and what builds on them
    assert softmax_error(backend) < 1e-6  # although shuffles are wrong still
    assert "subgroupSizeControl" not in backend.info.features


@pytest.mark.usefixtures("wrong_shuffles")
def test_a_wrong_path_can_be_an_error(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHA_FAIL_ON_SMOKE_TEST", "1")
    with pytest.raises(BackendError, match=r"`subgroups` is off: .* computes wrong numbers with it") as caught:
        opened()
    assert caught.value.hint == "`ALPHA_HELIOS_DISABLE=subgroups` does without it"


@pytest.mark.usefixtures("wrong_shuffles")
def test_a_path_that_is_not_wanted_is_off_in_silence(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_DISABLE", "subgroups, 8bit")
    backend = opened()
    assert backend.paths.off["subgroups"] == backend.paths.off["8bit"] == "`ALPHA_HELIOS_DISABLE` names it"
    assert softmax_error(backend) < 1e-6


def test_a_name_that_is_no_path_is_an_error(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_DISABLE", "subgroup")
    with pytest.raises(BackendError, match="`ALPHA_HELIOS_DISABLE` names `subgroup`, which is no fast path") as caught:
        opened()
    assert caught.value.hint is not None
    assert "`subgroups`" in caught.value.hint


def test_a_device_that_computes_wrong_numbers_without_any_path_is_refused(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_by_tree", "_by_subgroups"):
        right = getattr(Team, name)
        wrong = lambda self, operation, values, right=right: [one * 1.01 for one in right(self, operation, values)]  # noqa: E731
        monkeypatch.setattr(Team, name, wrong)
    with pytest.raises(BackendError, match="computes wrong numbers: sums: ") as caught:
        opened()
    assert "`ALPHA_HELIOS_SELFTEST=1` tests anew" in str(caught.value.hint)
    with pytest.raises(BackendError, match="computes wrong numbers: sums: "):  # as it is remembered
        opened()


def test_results_are_remembered_and_can_be_had_anew(
    opened: Open, wrong_shuffles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(UserWarning, match="`subgroups` is off"):
        opened()
    right, run = Check.wrong, list[str]()

    def noted(self: Check, backend: Helios) -> str | None:
        run.append(self.path)
        return right(self, backend)

    monkeypatch.setattr(Check, "wrong", noted)
    with pytest.warns(UserWarning, match="`subgroups` is off: .* silences this"):
        assert "subgroups" in opened().paths.off
    assert run == []
    monkeypatch.setenv("ALPHA_HELIOS_SELFTEST", "1")
    with pytest.warns(UserWarning, match="`subgroups` is off"):
        opened()
    assert {BASE, "subgroups", "16bit"} <= set(run)


def test_without_short_storage_only_f32_is_left(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Elements.bits
    shifted = lambda self, value: right(self, value) + 1 if self.stored == "bf16" else right(self, value)  # noqa: E731
    monkeypatch.setattr(Elements, "bits", shifted)
    with pytest.warns(UserWarning, match="`16bit` is off: .* rounding to bf16: "):
        backend = opened()
    with pytest.raises(BackendError, match=r"no products of f16 on .*: rounding to bf16: .*") as caught:
        backend.set_matmul_dtype(DType.f16)
    assert caught.value.hint == "`--precision=f32` needs no storage of 16 bits"
    backend.set_matmul_dtype(DType.f32)
    assert softmax_error(backend) < 1e-6


def test_a_kernel_that_the_driver_refuses_is_wrong_too(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Team, operation: Any, value: Any) -> Any:
        raise BackendError("cannot compile kernel `x`: no luck")

    monkeypatch.setattr(Team, "_by_shuffles", refused)
    with pytest.warns(UserWarning, match="`subgroups` is off: .*: sums: cannot compile kernel `x`: no luck"):
        assert softmax_error(opened()) < 1e-6


def test_a_device_that_is_lost_in_a_test_is_tested_without_the_path_next_time(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: Team, operation: Any, value: Any) -> Any:
        raise DeviceLostError("the device was lost")

    monkeypatch.setattr(Team, "_by_shuffles", lost)
    with pytest.raises(BackendError, match="the self-test of `subgroups` ended: the device was lost"):
        opened()
    with pytest.warns(UserWarning, match="`subgroups` is off: .*: the device was lost"):
        assert softmax_error(opened()) < 1e-6


def test_a_device_that_is_lost_without_any_path_is_tried_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(self: Team, operation: Any, values: Any) -> Any:
        raise DeviceLostError("the device was lost")

    with monkeypatch.context() as patch:
        for name in ("_by_tree", "_by_subgroups"):
            patch.setattr(Team, name, lost)
        with pytest.raises(BackendError, match="the self-test of `base` ended: the device was lost"):
            opened()
    assert softmax_error(opened()) < 1e-6


def test_memory_that_is_not_what_was_written_is_not_mapped(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Staging.upload

    def spoiled(self: Staging, target: Any, array: Any, offset: int = 0, **options: Any) -> None:
        right(self, target, array, offset, **options)
        if target.host is not None:
            target.host[offset] = (int(np.ascontiguousarray(array).reshape(-1).view(np.uint8)[0]) + 1) % 256

    if not opened().device.maps_memory:
        pytest.skip("needs a processor with the memory of the device")
    monkeypatch.setattr(Staging, "upload", spoiled)
    monkeypatch.setenv("ALPHA_HELIOS_SELFTEST", "1")
    with pytest.warns(UserWarning, match="`mapped` is off: .* transfers: "):
        backend = opened()
    assert not backend.device.maps_memory
    assert softmax_error(backend) < 1e-6


def test_a_queue_for_transfers_is_tested_and_can_be_done_without(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_queue() -> Device:
        """A device with two timelines on one queue, where there is no other."""
        device = Device(mapped=False)
        if not device.has_transfer_queue:
            logical = device._logical
            transfers = CommandPool(logical, Queue(logical, logical.compute_family, "transfers"), compute=False)
            device._transfer = transfers
            device.staging = Staging(device._commands, transfers, device.host_memory)
        return device

    backend = opened(with_queue())
    assert "transfers" in backend.paths.on
    assert softmax_error(backend) < 1e-6
    monkeypatch.setenv("ALPHA_HELIOS_DISABLE", "transfers")
    backend = opened(with_queue())
    assert not backend.device.has_transfer_queue
    x = np.arange(200_000, dtype=np.float32)
    np.testing.assert_array_equal(backend.download(backend.add(backend.upload(x), 1.0)), x + 1)
    assert backend.device.messages == []


def test_every_path_has_checks_and_every_check_a_path() -> None:
    assert {check.path for check in CHECKS} == {BASE, *(path.name for path in FAST_PATHS)}


def test_a_path_says_what_a_device_lacks_for_it() -> None:
    minimum, full = Paths(NullDevice(NULL_MINIMUM)), Paths(NullDevice())
    assert minimum.off["16bit"] == "the device lacks `storageBuffer16BitAccess`, `shaderInt16`"
    assert "16bit" in full.on
    assert restricted(NULL_GPU, []) == NULL_GPU


def test_the_null_device_is_not_tested() -> None:
    assert Helios(NullDevice()).device.recorded_dispatches == 0  # type: ignore[attr-defined]
