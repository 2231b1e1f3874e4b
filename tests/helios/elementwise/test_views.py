"""Operands that a recorded step only looks at in another way: broadcast, transposed, sliced, at any place in memory."""

from collections.abc import Sequence

import numpy as np
import pytest

from alpha_core.random import RandomStream, random_bits
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

LENGTHS = [1, 2, 3, 4, 8, 12, 33]


@pytest.mark.parametrize("start", range(5))
@pytest.mark.parametrize("width", [1, 4, 6, 8, 65])
def test_slices_begin_anywhere(helios: Helios, start: int, width: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 72)).astype(np.float32), rng.standard_normal((7, width)).astype(np.float32)

    def step(a: Tensor, b: Tensor) -> Sequence[Tensor]:
        part = helios.slice(a, 1, start, start + width)
        row = helios.slice(helios.slice(a, 0, start, start + 1), 1, 0, width)
        return helios.mul(part, b), helios.add(b, row), helios.neg(part)

    results = helios.record(step, [x, y], name="slices")(x, y)
    part = x[:, start : start + width]
    for got, want in zip(results, (part * y, y + x[start, :width], -part), strict=True):
        np.testing.assert_array_equal(helios.download(got), want)


@pytest.mark.parametrize("seed", range(24))
def test_any_axes_and_any_broadcast(helios: Helios, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.choice(LENGTHS, rng.integers(1, 5))
    axes = [int(axis) for axis in rng.permutation(len(shape))]
    repeated = np.where(rng.random(len(shape)) < 0.5, shape[axes], 1)
    dropped = rng.integers(0, len(shape) + 1)
    x, y = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(repeated[dropped:]).astype(np.float32)

    def step(a: Tensor, b: Tensor) -> Sequence[Tensor]:
        turned = helios.transpose(a, tuple(axes))
        return helios.sub(turned, b), helios.mul(b, turned), helios.contiguous(turned)

    first, second, third = helios.record(step, [x, y], name="views")(x, y)
    turned = x.transpose(axes)
    np.testing.assert_array_equal(helios.download(first), turned - y)
    np.testing.assert_array_equal(helios.download(second), turned * y)
    np.testing.assert_array_equal(helios.download(third), turned)


def test_a_sum_goes_into_a_transposed_place_of_its_own(helios: Helios) -> None:
    x = np.random.default_rng(0).standard_normal((9, 12)).astype(np.float32)

    def step(a: Tensor) -> Sequence[Tensor]:
        turned = helios.transpose(a, (1, 0))
        helios.add_into(turned, turned)
        return turned, a

    twice, kept = helios.record(step, [x], name="in place")(x)
    np.testing.assert_array_equal(helios.download(twice), 2 * x.T)
    np.testing.assert_array_equal(helios.download(kept), x)


def test_indices_may_need_64_bits(helios: Helios, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in tensors of more than 2^30 elements, here in small ones."""
    monkeypatch.setattr("alpha_helios.ops.extent._MOST_IN_I32", 1)
    rng = np.random.default_rng(0)
    x, row = rng.standard_normal((30, 44)).astype(np.float32), rng.standard_normal((1, 44)).astype(np.float32)
    ids = np.array([4, 29, 0], np.int32)
    stream = RandomStream(1, 2, helios.upload(np.array(3, np.int32)), helios.upload(np.arange(30, dtype=np.int32)))

    def step(a: Tensor, b: Tensor, places: Tensor) -> Sequence[Tensor]:
        turned = helios.transpose(a, (1, 0))
        return (
            helios.add(a, b),
            helios.exp(turned),
            helios.cat([a, b], 0),
            helios.embedding(a, places),
            helios.dropout(a, 0.5, stream),
            helios.mul(helios.full((30, 44), 2.0), a),
        )

    results = [helios.download(result) for result in helios.record(step, [x, row, ids], name="wide")(x, row, ids)]
    mask = np.where(random_bits(1, 2, 3, np.arange(30), 44) < 2**31, np.float32(0), np.float32(2))
    np.testing.assert_array_equal(results[0], x + row)
    np.testing.assert_allclose(results[1], np.exp(x.T), rtol=1e-6)
    for got, want in zip(results[2:], (np.concatenate([x, row]), x[ids], x * mask, 2 * x), strict=True):
        np.testing.assert_array_equal(got, want)


def test_more_workgroups_than_an_axis_of_a_grid_has(helios: Helios) -> None:
    x = np.arange(2_900_003 * 3, dtype=np.float32).reshape(-1, 3) % 1000
    row = np.array([1, 2, 3], np.float32)
    got = helios.add(helios.upload(x), helios.upload(row))
    np.testing.assert_array_equal(helios.download(got), x + row)
