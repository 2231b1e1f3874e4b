"""Dropout: the bits of `alpha_core.random`, and what is added to it in the same kernel."""

import numpy as np
import pytest
from tests.helios.matmul.products import rounded, stored_as
from tests.helios.recording import launches_of

from alpha_core.dtype import DType
from alpha_core.random import RandomStream, dropout_threshold, random_bits, stream_id
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

SEED, STEP = 0xFEDCBA9876543210, 77
SHAPES = [(3, 7, 5), (4, 16), (2, 1000), (5, 1), (3, 4, 2, 64)]


def rows_of(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**31 - 1, shape[0]).astype(np.int32)


def stream_of(helios: Helios, rows: np.ndarray) -> RandomStream:
    return RandomStream(SEED, stream_id("test"), helios.upload(np.array(STEP, np.int32)), helios.upload(rows))


def mask_of(shape: tuple[int, ...], rate: float) -> np.ndarray:
    bits = random_bits(SEED, stream_id("test"), STEP, rows_of(shape), int(np.prod(shape[1:]))).reshape(shape)
    return np.where(bits < dropout_threshold(rate), np.float32(0), np.float32(1 / (1 - rate)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_masks_are_the_same_on_every_backend(helios: Helios, shape: tuple[int, ...], rate: float) -> None:
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    stream = stream_of(helios, rows_of(shape))
    np.testing.assert_array_equal(
        helios.download(helios.dropout_mask(shape, rate, stream, DType.f32)), mask_of(shape, rate)
    )
    np.testing.assert_array_equal(
        helios.download(helios.dropout(helios.upload(x), rate, stream)), x * mask_of(shape, rate)
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stored", [DType.f32, DType.bf16, DType.f16])
def test_the_residual_is_added_in_the_same_kernel(helios: Helios, shape: tuple[int, ...], stored: DType) -> None:
    rng = np.random.default_rng(1)
    x, residual = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    given = helios.upload(x) if stored is DType.f32 else stored_as(helios, x, stored)
    stream = stream_of(helios, rows_of(shape))

    def step(before: Tensor) -> list[Tensor]:
        return [helios.add(before, helios.dropout(given, 0.3, stream))]

    assert [launch.spec.build.__name__ for launch in launches_of(helios, step, residual)] == ["dropout"]
    (out,) = helios.record(step, [residual], name="residual")(residual)
    eager = helios.add(helios.upload(residual), helios.dropout(given, 0.3, stream))
    assert stored_dtype(out) is stored_dtype(eager) is stored
    np.testing.assert_array_equal(helios.download(out), helios.download(eager))
    dropped = rounded(rounded(x, stored) * mask_of(shape, 0.3), stored)
    np.testing.assert_array_equal(helios.download(out), rounded(dropped + residual, stored))


def test_what_else_needs_the_dropped_values_keeps_them(helios: Helios) -> None:
    x = np.random.default_rng(1).standard_normal((4, 16)).astype(np.float32)
    stream = stream_of(helios, rows_of((4, 16)))

    def step(a: Tensor) -> list[Tensor]:
        dropped = helios.dropout(a, 0.5, stream)
        return [helios.add(dropped, a), dropped]

    total, dropped = helios.record(step, [x], name="both")(x)
    np.testing.assert_array_equal(helios.download(dropped), x * mask_of((4, 16), 0.5))
    np.testing.assert_array_equal(helios.download(total), x * mask_of((4, 16), 0.5) + x)


def test_a_recorded_step_draws_anew_with_every_number_of_a_step(helios: Helios) -> None:
    rows = helios.upload(np.arange(8, dtype=np.int32))

    def step(number: Tensor) -> list[Tensor]:
        return [helios.dropout_mask((8, 500), 0.5, RandomStream(SEED, 1, number, rows), DType.f32)]

    program = helios.record(step, [np.array(0, np.int32)], name="masks")
    masks = [helios.download(program(np.array(number, np.int32))[0]) for number in (0, 1, 0)]
    np.testing.assert_array_equal(masks[0], masks[2])
    assert 0.4 < np.mean(masks[0] == masks[1]) < 0.6
