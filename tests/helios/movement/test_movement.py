"""Elements that move: across the grain, side by side, and constants."""

import numpy as np
import pytest
from tests.helios.matmul.products import rounded, stored_as

from alpha_core.dtype import DType
from alpha_core.recording.movement import MOST_PIECES
from alpha_helios.backend import Helios


def whole_numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-100, 100, shape).astype(np.float32)


@pytest.mark.parametrize("dtype", DType)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((70, 50), (1, 0)),
        ((8, 9), (1, 0)),
        ((3, 40, 5, 33), (0, 3, 2, 1)),
        ((2, 33, 3, 17, 2), (3, 2, 4, 0, 1)),
        ((4, 20, 8, 32), (0, 2, 1, 3)),
        ((2, 3, 4, 5, 6, 7), (5, 4, 3, 2, 1, 0)),
    ],
)
def test_transposes_of_every_dtype(helios: Helios, dtype: DType, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = whole_numbers(*shape)
    got = helios.download(helios.transpose(helios.upload(x, dtype), axes))
    np.testing.assert_array_equal(got, x.transpose(axes))


@pytest.mark.parametrize("dtype", DType)
@pytest.mark.parametrize("widths", [(4, 8), (3, 1, 2), (1,) * (2 * MOST_PIECES + 3)])
def test_parts_side_by_side(helios: Helios, dtype: DType, widths: tuple[int, ...]) -> None:
    x = whole_numbers(5, sum(widths), 3)
    ends = np.cumsum(widths)
    parts = np.split(x, ends[:-1], axis=1)
    joined = helios.cat([helios.upload(part, dtype) for part in parts], 1)
    np.testing.assert_array_equal(helios.download(joined), x)
    placed = helios.download(helios.slice_grad(helios.upload(parts[0], dtype), 1, 2, widths[0] + 5))
    np.testing.assert_array_equal(placed, np.pad(parts[0], ((0, 0), (2, 3), (0, 0))))


def test_parts_that_are_stored_in_different_ways(helios: Helios) -> None:
    x = np.random.default_rng(0).standard_normal((3, 4, 16)).astype(np.float32)
    parts = [stored_as(helios, x[0], DType.bf16), helios.upload(x[1]), stored_as(helios, x[2], DType.f16)]
    kept = np.concatenate([rounded(x[0], DType.bf16), x[1], rounded(x[2], DType.f16)], 1)
    np.testing.assert_array_equal(helios.download(helios.cat(parts, 1)), rounded(kept, DType.bf16))


@pytest.mark.parametrize("dtype", DType)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (257,), (0, 4)])
def test_constants(helios: Helios, dtype: DType, shape: tuple[int, ...]) -> None:
    x = helios.full(shape, -3, dtype)
    assert (x.shape, x.dtype) == (shape, dtype)
    np.testing.assert_array_equal(helios.download(x), np.full(shape, -3.0))


def test_numbers_that_no_element_holds_are_infinite(helios: Helios) -> None:
    assert helios.download(helios.full((), 1e6, DType.f16)) == np.inf
    assert np.isnan(helios.download(helios.full((3,), float("nan"), DType.bf16))).all()


def test_nothing_is_written_to_a_part_of_a_captured_tensor(helios: Helios) -> None:
    table = helios.upload(np.zeros((4, 4), np.float32))

    def step() -> list:
        row = helios.slice(table, 1, 0, 2)
        helios.add_into(row, row)
        return [row]

    got = helios.record(step, [], name="captured")()
    np.testing.assert_array_equal(helios.download(got[0]), np.zeros((4, 2)))
    np.testing.assert_array_equal(helios.download(table), np.zeros((4, 4)))
