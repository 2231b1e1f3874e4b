"""Reductions: any axes, and errors that do not grow with the length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from tests.cpu.backends import cpu, levels

from alpha_core.recording.step import Recording, Step
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.backend import Cpu


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Cpu:
    return cpu(tmp_path_factory.getbasetemp() / "kernels")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), max_size=5), st.data())
def test_any_axes(backend: Cpu, shape: list[int], data: st.DataObject) -> None:
    x = np.random.default_rng(0).integers(-9, 9, shape).astype(np.float32)
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1)))) if shape else ()
    keepdims = data.draw(st.booleans())
    tensor = backend.upload(x)
    np.testing.assert_array_equal(backend.download(backend.sum(tensor, axes, keepdims)), x.sum(axes, keepdims=keepdims))
    np.testing.assert_array_equal(backend.download(backend.max(tensor, axes, keepdims)), x.max(axes, keepdims=keepdims))


@pytest.mark.parametrize("level", levels())
def test_long_sums_lose_little(level: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    backend = cpu(tmp_path_factory.getbasetemp() / "kernels", level)
    x = np.random.default_rng(0).random((30000, 70)).astype(np.float32)
    tensor, exact = backend.upload(x), x.astype(np.float64)
    for axes in (None, 0, 1):
        got, want = backend.download(backend.sum(tensor, axes)), exact.sum(axes)
        assert np.max(np.abs(got / want - 1)) < 4e-7
    alike = backend.download(backend.sum(backend.full((3_000_000,), 0.1)))
    assert abs(alike / (3e6 * float(np.float32(0.1))) - 1) < 2e-6


def test_norms_neither_overflow_nor_lose(backend: Cpu) -> None:
    huge = backend.upload(np.full(1000, 1e25, np.float32))
    many = [huge, *(backend.upload(np.ones(5, np.float32)) for _ in range(40))]
    np.testing.assert_allclose(backend.download(backend.global_norm(many)), np.sqrt(1000) * 1e25, rtol=2e-7)


def test_column_sums_are_added_to_gradients_without_a_detour(backend: Cpu) -> None:
    gradient = backend.upload(np.ones(65, np.float32))
    x = np.random.default_rng(0).standard_normal((37, 65)).astype(np.float32)

    def function(t: Tensor) -> list[Tensor]:
        backend.add_into(gradient, backend.sum(t, 0))
        return []

    recording = backend.recorder = Recording()
    try:
        function(backend.upload(x))
    finally:
        backend.recorder = None
    assert len(Step.of(recording.launches, [], []).body) == 1
    program = backend.record(function, [x], name="bias")
    once = backend.download(backend.add(gradient, backend.sum(backend.upload(x), 0)))
    program(x)
    np.testing.assert_array_equal(backend.download(gradient), once)
