"""Reductions: any axes, long ones, NaN, norms of any size, and sums that go straight into a gradient."""

import numpy as np
import pytest
from tests.helios.matmul.products import rounded, stored_as
from tests.helios.recording import launches_of

from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

# Rows and columns; one invocation, teams, a workgroup, several blocks; with and without whole vectors.
SHAPES = [
    ((1, 1 << 18), None),
    ((3, 30001), 1),
    ((2000, 64), 1),
    ((513, 1023), 1),
    ((30000, 3), 1),
    ((5000, 96), 0),
    ((3001, 97), 0),
    ((65536, 4), 0),
    ((2, 3000, 5), 1),
    ((7, 600, 3, 8), (1, 3)),
    ((5, 4, 3, 2, 6), (0, 2, 4)),
]


@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_any_axes_of_any_length(helios: Helios, shape: tuple[int, ...], axes: int | tuple[int, ...] | None) -> None:
    x = np.random.default_rng(0).random(shape).astype(np.float32)
    tensor, exact = helios.upload(x), x.astype(np.float64)
    assert np.max(np.abs(helios.download(helios.sum(tensor, axes)) / exact.sum(axes) - 1)) < 4e-7
    assert np.max(np.abs(helios.download(helios.mean(tensor, axes)) / exact.mean(axes) - 1)) < 4e-7
    np.testing.assert_array_equal(helios.download(helios.max(tensor, axes)), x.max(axes))
    assert helios.download(helios.all_finite(tensor)) == 1


@pytest.mark.parametrize("shape", [(4, 20000), (20000, 4), (50, 60)])
def test_one_number_that_is_not_finite_is_found(helios: Helios, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for value in (np.nan, np.inf, -np.inf):
        x = -rng.random(shape).astype(np.float32)
        place = tuple(int(rng.integers(length)) for length in shape)
        x[place] = value
        tensor = helios.upload(x)
        assert helios.download(helios.all_finite(tensor)) == 0
        for axis in (0, 1):
            np.testing.assert_array_equal(helios.download(helios.max(tensor, axis)), x.max(axis))


def test_alike_numbers_add_up(helios: Helios) -> None:
    total = helios.download(helios.sum(helios.full((3_000_000,), 0.1)))
    assert abs(total / (3e6 * float(np.float32(0.1))) - 1) < 2e-6


@pytest.mark.parametrize("stored", [DType.bf16, DType.f16])
def test_short_numbers_are_added_up_in_f32(helios: Helios, stored: DType) -> None:
    x = np.random.default_rng(0).standard_normal((300, 130)).astype(np.float32)
    tensor, kept = stored_as(helios, x, stored), rounded(x, stored).astype(np.float64)
    for axis in (0, 1):
        assert np.max(np.abs(helios.download(helios.sum(tensor, axis)) - kept.sum(axis))) < 2e-5
        np.testing.assert_array_equal(helios.download(helios.max(tensor, axis)), kept.max(axis))
    norm = helios.download(helios.global_norm([tensor, helios.upload(x), tensor]))
    np.testing.assert_allclose(norm, np.sqrt(2 * (kept**2).sum() + (x.astype(np.float64) ** 2).sum()), rtol=2e-7)


def test_norms_of_many_tensors(helios: Helios) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(size).astype(np.float32) for size in [1, 5, 16384, 16385, 40000, 3] * 12]
    norm = helios.download(helios.global_norm([helios.upload(array) for array in arrays]))
    np.testing.assert_allclose(norm, np.sqrt(sum((array.astype(np.float64) ** 2).sum() for array in arrays)), rtol=2e-7)


@pytest.mark.parametrize("size", [1e30, 1e20, 1e16, 1e14, 1.0, 1e-14, 1e-16, 1e-30])
def test_norms_neither_overflow_nor_vanish(helios: Helios, size: float) -> None:
    x = (np.random.default_rng(0).standard_normal(5000) * size).astype(np.float32)
    norm = helios.download(helios.global_norm([helios.upload(x), helios.full((3,), size)]))
    np.testing.assert_allclose(norm, np.sqrt((x.astype(np.float64) ** 2).sum() + 3 * size**2), rtol=3e-7)


def test_infinity_and_nan_reach_the_norm(helios: Helios) -> None:
    for value, want in ((np.inf, np.inf), (-np.inf, np.inf), (np.nan, np.nan)):
        x = np.array([1e30, 1.0, 1e-30, value], np.float32)
        np.testing.assert_equal(float(helios.download(helios.global_norm([helios.upload(x)]))), want)


@pytest.mark.parametrize(("shape", "axis"), [((37, 65), 0), ((37, 64), 0), ((64, 37), 1), ((3000, 65), 0)])
def test_sums_are_added_to_gradients_without_a_detour(helios: Helios, shape: tuple[int, int], axis: int) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    gradient = helios.upload(np.linspace(1, 2, shape[1 - axis], dtype=np.float32))

    def step(t: Tensor) -> list[Tensor]:
        helios.add_into(gradient, helios.sum(t, axis))
        return []

    names = {launch.spec.build.__name__ for launch in launches_of(helios, step, x)}
    assert names == {"reduce_rows" if axis else "reduce_columns"}
    once = helios.download(helios.add(gradient, helios.sum(helios.upload(x), axis)))
    helios.record(step, [x], name="bias", additive=True)(x)
    np.testing.assert_array_equal(helios.download(gradient), once)


def test_rows_are_read_where_they_stand(helios: Helios) -> None:
    x = np.random.default_rng(0).standard_normal((6, 5, 40)).astype(np.float32)

    def step(t: Tensor) -> list[Tensor]:
        part = helios.slice(t, 2, 4, 36)
        return [helios.sum(part, -1), helios.max(helios.transpose(part, (1, 0, 2)), 1), helios.sum(part, (0, 1))]

    part = x[:, :, 4:36]
    results = [helios.download(result) for result in helios.record(step, [x], name="rows")(x)]
    np.testing.assert_allclose(results[0], part.sum(-1, dtype=np.float64), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(results[1], part.max(0))
    np.testing.assert_allclose(results[2], part.sum((0, 1), dtype=np.float64), rtol=1e-5, atol=1e-5)
