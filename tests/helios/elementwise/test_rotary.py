"""Rotary positions: the bits of the definition, on rows that stand apart, in any storage."""

import numpy as np
import pytest
from tests.helios.matmul.products import rounded, stored_as
from tests.helios.recording import launches_of

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios


def tables(time: int, half: int) -> tuple[np.ndarray, np.ndarray]:
    angles = np.arange(time)[:, None] / 100.0 ** (np.arange(half) / half)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def turned(x: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


@pytest.mark.parametrize("shape", [(3, 2), (5, 7, 6), (2, 3, 9, 16), (2, 3, 4, 65, 10), (1, 12, 33, 64)])
@pytest.mark.parametrize("inverse", [False, True])
def test_bits_are_those_of_the_definition(helios: Helios, shape: tuple[int, ...], inverse: bool) -> None:
    x = helios.upload(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    cosine, sine = map(helios.upload, tables(shape[-2], shape[-1] // 2))
    got, want = helios.rotary(x, cosine, sine, inverse), Backend.rotary(helios, x, cosine, sine, inverse)
    np.testing.assert_array_equal(helios.download(got), helios.download(want))


@pytest.mark.parametrize("width", [8, 6])
def test_heads_are_turned_where_they_stand(helios: Helios, width: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 3 * 4 * width)).astype(np.float32)
    cosine, sine = tables(5, width // 2)
    on_device = helios.upload(cosine), helios.upload(sine)

    def step(rows: Tensor) -> list[Tensor]:
        key = helios.slice(rows, 2, 4 * width, 8 * width)
        heads = helios.transpose(helios.reshape(key, (2, 5, 4, width)), (0, 2, 1, 3))
        back = helios.transpose(helios.rotary(heads, *on_device), (0, 2, 1, 3))
        return [helios.reshape(back, (2, 5, 4 * width))]

    assert [launch.spec.build.__name__ for launch in launches_of(helios, step, x)] == ["rotary"]
    (got,) = helios.record(step, [x], name="heads")(x)
    heads = x[:, :, 4 * width : 8 * width].reshape(2, 5, 4, width).transpose(0, 2, 1, 3)
    want = turned(heads, cosine, sine).transpose(0, 2, 1, 3).reshape(2, 5, -1)
    np.testing.assert_array_equal(helios.download(got), want)


@pytest.mark.parametrize("stored", [DType.bf16, DType.f16])
def test_short_numbers_are_rounded_once(helios: Helios, stored: DType) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 16)).astype(np.float32)
    cosine, sine = tables(9, 8)
    got = helios.rotary(stored_as(helios, x, stored), helios.upload(cosine), helios.upload(sine))
    assert stored_dtype(got) is stored
    np.testing.assert_array_equal(helios.download(got), rounded(turned(rounded(x, stored), cosine, sine), stored))
