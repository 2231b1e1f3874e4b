"""Cached attention and rotary positions beside float64."""

from collections.abc import Sequence

import numpy as np
import pytest
from tests.helios.attention.setups import Array, stored

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.recording.storage import is_contiguous, stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_tensor.cpu_ref.backend import CpuRef


def cached(backend: Backend, arrays: Sequence[Array], lengths: Array, soft_cap: float = 0.0) -> Array:
    """Returns the result of cached attention to query, key and value."""
    query, key, value = map(backend.upload, arrays)
    return backend.download(backend.cached_attention(query, key, value, backend.upload(lengths), soft_cap))


def drawn(batch: int, heads: int, capacity: int, width: int) -> list[Array]:
    generator = np.random.default_rng(width)
    shapes = [(batch, heads, width), *[(batch, heads, capacity, width)] * 2]
    return [generator.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize(
    ("width", "soft_cap"), [(1, 0.0), (24, 2.0), (64, 0.0), (100, 0.0), (130, 0.0), (256, 0.0), (300, 0.0)]
)
def test_cached_attention(width: int, soft_cap: float, helios: Helios) -> None:
    arrays, lengths = drawn(3, 2, 600, width), np.array([1, 257, 600], np.int32)
    want = cached(CpuRef(), [array.astype(np.float64) for array in arrays], lengths, soft_cap)
    got = cached(helios, arrays, lengths, soft_cap)
    assert np.max(np.abs(got - want)) < 4e-6 * max(np.max(np.abs(want)), 1.0)


def test_a_cache_in_many_parts_has_the_same_bits_each_time(helios: Helios) -> None:
    arrays, lengths = drawn(1, 2, 3000, 16), np.array([2047], np.int32)
    want = cached(CpuRef(), [array.astype(np.float64) for array in arrays], lengths)
    results = [cached(helios, arrays, lengths) for _ in range(3)]
    assert np.max(np.abs(results[0] - want)) < 4e-6
    assert len({result.tobytes() for result in results}) == 1


def test_what_lies_behind_the_length_has_no_influence(helios: Helios) -> None:
    arrays, lengths = drawn(1, 1, 300, 8), np.array([129], np.int32)
    before = cached(helios, arrays, lengths)
    arrays[1][:, :, 129:], arrays[2][:, :, 129:] = 1e30, 1e30
    assert cached(helios, arrays, lengths).tobytes() == before.tobytes()


@pytest.mark.parametrize("dtype", [DType.bf16, DType.f16])
def test_a_cache_in_16_bits(dtype: DType, helios: Helios) -> None:
    arrays, lengths = drawn(2, 2, 200, 32), np.array([200, 31], np.int32)
    want = cached(CpuRef(), [array.astype(np.float64) for array in arrays], lengths)
    helios.set_matmul_dtype(dtype)
    try:
        query, key, value = (stored(helios, array) for array in arrays)
        out = helios.cached_attention(query, key, value, helios.upload(lengths))
    finally:
        helios.set_matmul_dtype(DType.f32)
    assert stored_dtype(out) is dtype
    bound = 2.0 ** (-7 if dtype is DType.bf16 else -10)
    assert np.linalg.norm(helios.download(out) - want) < bound * np.linalg.norm(want)


def turned(backend: Backend, x: Tensor, inverse: bool = False) -> Tensor:
    """Returns x rotated by random angles."""
    *_, time, width = x.shape
    angle = np.random.default_rng(5).uniform(0, 6, (time, width // 2))
    cosine, sine = (backend.upload(table.astype(x.dtype.numpy)) for table in (np.cos(angle), np.sin(angle)))
    return backend.rotary(x, cosine, sine, inverse)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("shape", [(7, 2), (3, 5, 6), (2, 3, 33, 66), (2, 3, 9, 64), (2, 1, 2, 3, 8), (0, 4, 4)])
def test_rotary(shape: tuple[int, ...], inverse: bool, helios: Helios) -> None:
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    exact = CpuRef()
    want = exact.download(turned(exact, exact.upload(x.astype(np.float64)), inverse))
    got = helios.download(turned(helios, helios.upload(x), inverse))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


def test_rotated_heads_stand_as_attention_leaves_its_own(helios: Helios) -> None:
    x = helios.upload(np.random.default_rng(3).standard_normal((2, 3, 10, 8)).astype(np.float32))

    def step(tensor: Tensor) -> list[Tensor]:
        return [helios.transpose(turned(helios, tensor), (0, 2, 1, 3))]

    program = helios.record(step, [helios.download(x)], name="rotary")
    assert program.dispatches == 1
    assert is_contiguous(program(helios.download(x))[0])
