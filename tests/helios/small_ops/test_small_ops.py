"""Small ops on the processor: the same results, nothing for the device to do, and no part in what is recorded."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_helios.small_ops import OnHost, SmallOps
from alpha_tensor.cpu_ref.backend import CpuRef
from alpha_testkit.backend_ops import OpTests
from alpha_testkit.backend_record import RecordTests
from alpha_testkit.backend_storage import StorageTests

LIMIT = 100


@pytest.fixture(scope="module")
def backend(device_available: None) -> Iterator[SmallOps]:
    backend = SmallOps(CpuRef(), LIMIT)
    yield backend
    backend.close()


@pytest.fixture
def launched(backend: SmallOps, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that are queued."""
    names: list[str] = []
    add = backend.queue.add

    def noted(launch: Any) -> None:
        names.append(launch.spec.name)
        add(launch)

    monkeypatch.setattr(backend.queue, "add", noted)
    return names


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def step(backend: Helios, x: Tensor, y: Tensor) -> list[Tensor]:
    """Ops with tensors, numbers, shapes, sequences and several results."""
    product = backend.matmul(x, y, transpose_b=True)
    top, where = backend.top_k(backend.softmax(product), 3)
    joined = backend.cat([backend.mul(x, 2.0), y], 0)
    return [product, top, where, joined, backend.broadcast_to(backend.full((1, 2), 3.0), (4, 2))]


def test_results_are_those_of_the_device_and_nothing_is_launched(
    backend: SmallOps, launched: list[str], helios: Helios
) -> None:
    x, y = values(4, 8), values(5, 8, seed=1)
    got = [backend.download(one) for one in step(backend, backend.upload(x), backend.upload(y))]
    want = [helios.download(one) for one in step(helios, helios.upload(x), helios.upload(y))]
    assert launched == []
    for mine, its in zip(got, want, strict=True):
        assert mine.dtype == its.dtype
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-6)


def test_one_large_tensor_takes_the_others_to_the_device(backend: SmallOps, launched: list[str]) -> None:
    large, small = backend.upload(values(50, 8)), backend.add(backend.upload(values(8)), 1.0)
    assert launched == []
    sums = backend.sum(backend.mul(large, small), 1)
    assert len(launched) >= 2
    before = len(launched)
    np.testing.assert_allclose(
        backend.download(backend.add(sums, sums)), 2 * (values(50, 8) * (values(8) + 1)).sum(1), rtol=1e-4, atol=1e-5
    )
    assert len(launched) == before  # the sums are few, and came back to be added


def test_a_large_result_of_small_tensors_belongs_to_the_device(backend: SmallOps, launched: list[str]) -> None:
    row = backend.upload(values(8))
    assert launched == []
    wide = backend.broadcast_to(row, (40, 8))
    assert not isinstance(wide.storage, OnHost)
    np.testing.assert_array_equal(backend.download(backend.add(wide, wide)), 2 * np.broadcast_to(values(8), (40, 8)))
    assert launched != []
    assert backend.zeros((40, 8)).size == 320
    assert len(launched) >= 2


def test_what_changes_a_tensor_in_place_runs_on_the_device(backend: SmallOps, launched: list[str]) -> None:
    total, one = backend.upload(values(6)), backend.upload(np.ones(6, np.float32))
    before = backend.add(total, 0.0)
    backend.add_into(total, one)
    backend.add_into(total, backend.mul(one, 2.0))
    assert launched != []
    np.testing.assert_array_equal(backend.download(total), values(6) + np.float32(1) + np.float32(2))
    np.testing.assert_array_equal(backend.download(before), values(6))
    np.testing.assert_allclose(backend.download(backend.mul(total, 2.0)), 2 * (values(6) + 3), rtol=1e-6)


def test_recorded_programs_take_no_part(backend: SmallOps, launched: list[str]) -> None:
    weight = backend.upload(values(5, 8, seed=1))  # on the host until it is captured

    def function(x: Tensor) -> list[Tensor]:
        return step(backend, x, weight)

    program = backend.record(function, [values(4, 8)], name="small")
    assert program.dispatches is not None
    assert program.dispatches >= 4
    results = program(values(4, 8))
    want = values(4, 8).astype(np.float64) @ values(5, 8, seed=1).T
    np.testing.assert_allclose(backend.download(results[0]), want, rtol=1e-5, atol=1e-6)


def test_short_products_stay_on_the_device(backend: SmallOps, launched: list[str]) -> None:
    backend.set_matmul_dtype(DType.bf16)
    try:
        backend.matmul(backend.upload(values(4, 8)), backend.upload(values(8, 2)))
        assert launched != []
    finally:
        backend.set_matmul_dtype(DType.f32)


@pytest.mark.parametrize(
    ("limit", "answer"),
    [
        ("100", "SmallOps"),
        ("", "Helios"),
        ("many", "`ALPHA_HELIOS_SMALL_OPS` is `many`; a number of elements above 0 is needed"),
    ],
)
def test_the_variable_chooses(device_available: None, monkeypatch: pytest.MonkeyPatch, limit: str, answer: str) -> None:
    monkeypatch.setenv("ALPHA_HELIOS_SMALL_OPS", limit)
    code = (
        "from alpha_core.errors import BackendError\n"
        "from alpha_core.plugins import load_plugins\n"
        "try: print(type(load_plugins().backends.get('helios').load()).__name__)\n"
        "except BackendError as error: print(error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == answer


def test_without_the_reference_it_says_what_to_install(device_available: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from alpha_core.errors import AlphaError
    from alpha_core.plugins import load_plugins

    monkeypatch.setenv("ALPHA_HELIOS_SMALL_OPS", "100")
    monkeypatch.setenv("ALPHA_PLUGINS", "helios")
    with pytest.raises(AlphaError, match="backend `cpu_ref` is of plugin `tensor`"):
        load_plugins().backends.get("helios").load()


@pytest.mark.usefixtures("device_available")
class TestConformance(OpTests, StorageTests, RecordTests):
    """All ops of the kit, whose tensors are small and large. Products of 16 bits stay on the device (tested above)."""

    compute_dtypes = (DType.f32,)

    def make_backend(self) -> SmallOps:
        return SmallOps(CpuRef(), 30)
