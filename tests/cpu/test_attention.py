"""Attention, its gradient, cached attention and rotary positions, against `cpu_ref` in double precision."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from tests.cpu.backends import InParts, cpu, levels

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.random import RandomStream
from alpha_core.recording.storage import is_contiguous, view_of
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu_ref.backend import CpuRef

Array = npt.NDArray[Any]

TOLERANCE = 4e-6
"""Of the largest number, at least 1: sums of up to 130 products of weights that are rounded to 24 bits."""


@attrs.frozen
class Setup:
    """Sizes and options of one call."""

    batch: int
    heads: int
    queries: int
    keys: int
    width: int
    soft_cap: float = 0.0
    rate: float = 0.0

    def draw(self) -> list[Array]:
        """Returns query, key, value and the gradient of the result."""
        generator = np.random.default_rng(0)
        times = (self.queries, self.keys, self.keys, self.queries)
        shapes = [(self.batch, self.heads, time, self.width) for time in times]
        return [generator.standard_normal(shape).astype(np.float32) for shape in shapes]

    def options(self, backend: Backend) -> tuple[float, float, RandomStream | None]:
        if self.rate == 0:
            return self.soft_cap, 0.0, None
        rows = np.arange(self.batch, dtype=np.int32) * 3 + 1
        step = backend.upload(np.array(7, np.int32))
        return (
            self.soft_cap,
            self.rate,
            RandomStream(seed=2**63 + 12345, stream=4_000_000_000, step=step, rows=backend.upload(rows)),
        )

    def run(self, backend: Backend, arrays: list[Array]) -> list[Array]:
        """Returns the result, log_sum_exp and the three gradients."""
        query, key, value, grad = map(backend.upload, arrays)
        out, log_sum_exp = backend.attention(query, key, value, *self.options(backend))
        gradients = backend.attention_grad(grad, query, key, value, out, log_sum_exp, *self.options(backend))
        return [backend.download(tensor) for tensor in (out, log_sum_exp, *gradients)]

    def exact(self) -> list[Array]:
        return self.run(CpuRef(), [array.astype(np.float64) for array in self.draw()])


def setups() -> st.SearchStrategy[Setup]:
    return st.builds(
        lambda queries, older, **sizes: Setup(queries=queries, keys=queries + older, **sizes),
        queries=st.integers(1, 100),
        older=st.sampled_from([0, 0, 1, 5, 64]),
        batch=st.integers(1, 2),
        heads=st.integers(1, 3),
        width=st.integers(1, 80),
        soft_cap=st.sampled_from([0.0, 1.5]),
        rate=st.sampled_from([0.0, 0.3]),
    )


SETUPS = [
    Setup(1, 2, 64, 64, 16),
    Setup(2, 1, 130, 130, 32),
    Setup(1, 3, 5, 70, 64, soft_cap=1.5),
    Setup(2, 2, 33, 101, 6, rate=0.3),
    Setup(3, 1, 50, 50, 1),
    Setup(1, 1, 1, 1, 3),
    Setup(1, 1, 17, 40, 200, soft_cap=2.0, rate=0.5),
    Setup(1, 1, 7, 9, 256),
    Setup(1, 1, 7, 9, 257),
]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "kernels"


@pytest.fixture(scope="module")
def backend(kernels: Path) -> Cpu:
    return cpu(kernels)


def error(got: Array, want: Array) -> float:
    """Returns the largest difference in shares of the largest number, which counts as 1 at least."""
    return float(np.max(np.abs(got - want)) / max(np.max(np.abs(want)), 1.0))


def attended(backend: Backend, arrays: Sequence[Array], *options: Any) -> Array:
    """Returns the result of attention to query, key and value."""
    query, key, value = map(backend.upload, arrays[:3])
    return backend.download(backend.attention(query, key, value, *options)[0])


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_results_and_gradients_at_every_level(setup: Setup, level: str, kernels: Path) -> None:
    got = setup.run(cpu(kernels, level), setup.draw())
    for mine, exact in zip(got, setup.exact(), strict=True):
        assert error(mine, exact) < TOLERANCE


@settings(max_examples=25, deadline=None)
@given(setups())
def test_any_sizes(backend: Cpu, setup: Setup) -> None:
    for mine, exact in zip(setup.run(backend, setup.draw()), setup.exact(), strict=True):
        assert error(mine, exact) < TOLERANCE


@pytest.mark.parametrize("setup", [Setup(1, 1, 100, 150, 24, rate=0.2), Setup(2, 3, 70, 70, 16, soft_cap=2.0)], ids=str)
def test_results_do_not_depend_on_the_parts(setup: Setup, kernels: Path) -> None:
    results = [setup.run(InParts(kernels, parts), setup.draw()) for parts in (1, 2, 3, 5, 16)]
    assert len({b"".join(array.tobytes() for array in result) for result in results}) == 1


@pytest.fixture(scope="module")
def tiles(kernels: Path) -> Cpu:
    """Returns a backend that multiplies bf16 numbers on tile registers, where the processor has those."""
    if "amx" not in levels():
        pytest.skip("needs a processor with tile registers")
    backend = cpu(kernels, "amx")
    backend.set_matmul_dtype(DType.bf16)
    return backend


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_bf16_products_round_operands_only(setup: Setup, tiles: Cpu) -> None:
    for mine, exact in zip(setup.run(tiles, setup.draw()), setup.exact(), strict=True):
        # A bf16 number is within 2^-9 of what it stands for; with one key the gradients of scores are exactly 0.
        assert np.linalg.norm(mine - exact) < 2**-7 * max(float(np.linalg.norm(exact)), 0.1)


@settings(max_examples=25, deadline=None)
@given(setups())
def test_bf16_products_of_any_sizes(tiles: Cpu, setup: Setup) -> None:
    for mine, exact in zip(setup.run(tiles, setup.draw()), setup.exact(), strict=True):
        assert np.linalg.norm(mine - exact) < 2**-6 * max(float(np.linalg.norm(exact)), 1.0)


def test_bf16_products_do_not_depend_on_the_parts(tiles: Cpu, kernels: Path) -> None:
    setup = Setup(1, 3, 70, 100, 24, rate=0.2)
    results = set()
    for parts in (1, 2, 3, 5):
        backend = InParts(kernels, parts)
        backend.set_matmul_dtype(DType.bf16)
        results.add(b"".join(array.tobytes() for array in setup.run(backend, setup.draw())))
    assert len(results) == 1


def test_dropout_drops_the_elements_of_the_reference(backend: Cpu) -> None:
    setup = Setup(2, 3, 37, 45, 64, rate=0.25)
    query, key, _, _ = setup.draw()
    # With unit vectors as values, the result is the matrix of weights.
    value = np.broadcast_to(np.eye(45, 64, dtype=np.float32), (2, 3, 45, 64))
    arrays = [query * 0, key, np.ascontiguousarray(value)]
    weights = attended(backend, arrays, *setup.options(backend))
    exact = attended(CpuRef(), arrays, *setup.options(CpuRef()))
    np.testing.assert_array_equal(weights == 0, exact == 0)


@pytest.mark.parametrize("products", ["backend", "tiles"])
def test_the_future_has_no_influence(products: str, request: pytest.FixtureRequest) -> None:
    backend = request.getfixturevalue(products)
    setup = Setup(1, 2, 70, 70, 16)
    query, key, value, _ = setup.draw()
    before = attended(backend, [query, key, value])
    key[:, :, 41:], value[:, :, 41:] = np.nan, 7.0
    after = attended(backend, [query, key, value])
    assert before[:, :, :41].tobytes() == after[:, :, :41].tobytes()
    assert np.isnan(after[:, :, 41:]).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(poison: float, backend: Cpu) -> None:
    for place in range(3):
        arrays = Setup(1, 1, 20, 20, 8).draw()
        arrays[place][0, 0, 3, :] = poison
        if place < 2:  # so that an infinite score is positive
            arrays[1 - place] = np.abs(arrays[1 - place]) * (-1 if poison == -np.inf else 1)
        assert not np.isfinite(attended(backend, arrays)[0, 0, 3]).any()


def test_scores_of_a_thousand_do_not_overflow(backend: Cpu) -> None:
    query, key, value, _ = Setup(1, 1, 40, 40, 4).draw()
    arrays = [query * 30, key * 30, value]
    exact = attended(CpuRef(), [array.astype(np.float64) for array in arrays])
    assert error(attended(backend, arrays), exact) < 1e-4


def test_results_stand_as_the_next_product_reads_them(backend: Cpu) -> None:
    setup = Setup(2, 3, 10, 10, 8)
    query, key, value, grad = map(backend.upload, setup.draw())
    out, log_sum_exp = backend.attention(query, key, value)
    gradients = backend.attention_grad(grad, query, key, value, out, log_sum_exp)
    for tensor in (out, turned(backend, query)):
        assert is_contiguous(backend.transpose(tensor, (0, 2, 1, 3)))
    assert len({id(view_of(tensor).buffer) for tensor in gradients}) == 1


def test_columns_of_one_product_are_read_in_place(backend: Cpu) -> None:
    setup = Setup(2, 3, 40, 40, 8)
    arrays = setup.draw()
    joined = np.stack([array.transpose(0, 2, 1, 3) for array in arrays[:3]], 2).reshape(80, 72)
    columns = backend.upload(joined)
    parts = [
        backend.transpose(backend.reshape(backend.slice(columns, 1, 24 * i, 24 * i + 24), (2, 40, 3, 8)), (0, 2, 1, 3))
        for i in range(3)
    ]
    out, _ = backend.attention(parts[0], parts[1], parts[2])
    assert backend.download(out).tobytes() == attended(backend, arrays).tobytes()


def test_a_stream_needs_a_row_for_each_sequence(backend: Cpu) -> None:
    query, key, value, _ = map(backend.upload, Setup(2, 1, 4, 4, 4).draw())
    stream = RandomStream(seed=1, stream=2, step=backend.upload(np.array(1, np.int32)), rows=backend.arange(3))
    with pytest.raises(ShapeError, match="rows"):
        backend.attention(query, key, value, 0.0, 0.5, stream)
    with pytest.raises(OpError, match="rate"):
        backend.attention(query, key, value, 0.0, 1.0, stream)


def cached(backend: Backend, arrays: Sequence[Array], lengths: Array, soft_cap: float = 0.0) -> Array:
    """Returns the result of cached attention to query, key and value."""
    query, key, value = map(backend.upload, arrays)
    return backend.download(backend.cached_attention(query, key, value, backend.upload(lengths), soft_cap))


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("soft_cap", [0.0, 2.0])
@pytest.mark.parametrize("width", [1, 24, 64, 100, 300])
def test_cached_attention(width: int, soft_cap: float, level: str, kernels: Path) -> None:
    generator = np.random.default_rng(width)
    query = generator.standard_normal((3, 2, width)).astype(np.float32)
    key, value = generator.standard_normal((2, 3, 2, 600, width)).astype(np.float32)
    lengths = np.array([1, 257, 600], np.int32)
    want = cached(CpuRef(), [array.astype(np.float64) for array in (query, key, value)], lengths, soft_cap)
    got = cached(cpu(kernels, level), [query, key, value], lengths, soft_cap)
    assert error(got, want) < TOLERANCE


def test_cached_attention_does_not_depend_on_the_parts(kernels: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape).astype(np.float32) for shape in ((2, 2, 8), *[(2, 2, 50, 8)] * 2)]
    lengths = np.array([50, 3], np.int32)
    assert len({cached(InParts(kernels, parts), arrays, lengths).tobytes() for parts in (1, 2, 3, 5)}) == 1


def turned(backend: Backend, x: Tensor, inverse: bool = False) -> Tensor:
    """Returns x rotated by random angles."""
    *_, time, width = x.shape
    angle = np.random.default_rng(5).uniform(0, 6, (time, width // 2))
    cosine, sine = (backend.upload(table.astype(x.dtype.numpy)) for table in (np.cos(angle), np.sin(angle)))
    return backend.rotary(x, cosine, sine, inverse)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("shape", [(7, 2), (3, 5, 6), (2, 3, 33, 66), (2, 1, 2, 3, 8), (0, 4, 4)], ids=str)
def test_rotary(shape: tuple[int, ...], inverse: bool, level: str, kernels: Path) -> None:
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    exact, backend = CpuRef(), cpu(kernels, level)
    want = exact.download(turned(exact, exact.upload(x.astype(np.float64)), inverse))
    got = backend.download(turned(backend, backend.upload(x), inverse))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("strided", [False, True])
def test_rotary_does_not_depend_on_the_parts(strided: bool, kernels: Path) -> None:
    x = np.random.default_rng(3).standard_normal((2, 3, 11, 10)).astype(np.float32)
    results = set()
    for parts in (1, 2, 3, 5):
        backend = InParts(kernels, parts)
        source = backend.upload(x)
        out = turned(backend, backend.transpose(source, (1, 0, 2, 3)) if strided else source)
        results.add(backend.download(out).tobytes())
    assert len(results) == 1
