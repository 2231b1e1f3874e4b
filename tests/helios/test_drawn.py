"""Drawn cases of the ops on elements: odd sizes, size 1, sizes on both sides of what kernels divide by, any storage."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.helios.matmul.products import rounded, stored_as

from alpha_core.dtype import DType
from alpha_core.random import RandomStream, dropout_threshold, random_bits
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

Array = npt.NDArray[Any]

SEEDS = range(96)
LENGTHS = [1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 257, 513, 1000]
LARGE = [1, 3, 2047, 2048, 2049, 4100, 9001]
STORED = [DType.f32, DType.f32, DType.bf16, DType.f16]


def shape_of(rng: np.random.Generator, most: int = 40_000) -> tuple[int, ...]:
    """A shape of at most so many elements."""
    shape: list[int] = []
    for length in rng.choice(LENGTHS, rng.integers(0, 5)):
        if int(np.prod(shape)) * length <= most:
            shape.append(int(length))
    return tuple(shape)


def drawn(helios: Helios, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Tensor, Array]:
    """A tensor, stored in any way, and what it holds; sometimes with numbers at the ends of f16."""
    values = (rng.standard_normal(shape) * rng.choice([1.0, 1.0, 1e-6, 3e4])).astype(np.float32)
    stored = rng.choice(np.array(STORED, object))
    if stored is DType.f32:
        return helios.upload(values), values
    return stored_as(helios, values, stored), rounded(values, stored)


def check(helios: Helios, got: Tensor, want: Array, units: float = 0.0, sizes: Array | float = 0.0) -> None:
    """Bit for bit, or within `units` roundings of `sizes`; then one more where the result is stored in 16 bits."""
    stored, values = stored_dtype(got), helios.download(got)
    nearest = rounded(np.asarray(want, np.float32), stored)
    assert values.shape == nearest.shape
    if units == 0:
        np.testing.assert_array_equal(values, nearest)
        return
    finite = np.isfinite(nearest) & np.isfinite(values)
    step = {DType.bf16: 2.0**-8, DType.f16: 2.0**-11}.get(stored, 0.0)
    allowed = units * 2.0**-24 * np.abs(sizes) + step * np.abs(want) + (2.0**-25 if stored is DType.f16 else 2.0**-126)
    alike = (values == nearest) | (np.isnan(values) & np.isnan(nearest))
    wrong = ~np.where(finite, np.abs(values - want) <= allowed, alike)
    assert not wrong.any(), f"{int(wrong.sum())} of {wrong.size} elements"


def pointwise(helios: Helios, rng: np.random.Generator) -> None:
    shape = shape_of(rng)
    other = tuple(length if rng.random() < 0.7 else 1 for length in shape)[int(rng.integers(0, len(shape) + 1)) :]
    (a, x), (b, y) = drawn(helios, rng, shape), drawn(helios, rng, other)
    if rng.random() < 0.5:
        (a, x), (b, y) = (b, y), (a, x)
    check(helios, helios.add(a, b), x + y)
    check(helios, helios.mul(a, b), x * y)
    check(helios, helios.maximum(a, b), np.maximum(x, y))
    check(helios, helios.where(helios.greater(a, b), a, b), np.where(x > y, x, y))
    quotient = x.astype(np.float64) / y
    check(helios, helios.div(a, b), quotient, 4, quotient)
    check(helios, helios.tanh(a), np.tanh(x.astype(np.float64)), 10, np.tanh(x.astype(np.float64)))


def moved(helios: Helios, rng: np.random.Generator) -> None:
    shape = shape_of(rng) or (3,)
    tensor, x = drawn(helios, rng, shape)
    axes = tuple(int(axis) for axis in rng.permutation(len(shape)))
    axis = int(rng.integers(len(shape)))
    start, stop = sorted(int(place) for place in rng.integers(0, shape[axis] + 1, 2))

    def step() -> list[Tensor]:
        part = helios.slice(tensor, axis, start, stop)
        turned = helios.transpose(part, axes)
        return [turned, helios.cat([part, tensor, part], axis), helios.slice_grad(part, axis, start, shape[axis])]

    part = x.take(range(start, stop), axis)
    turned, joined, placed = helios.record(step, [], name="moved")()
    check(helios, turned, part.transpose(axes))
    check(helios, joined, np.concatenate([part, x, part], axis))
    around = [(0, 0)] * len(shape)
    around[axis] = (start, shape[axis] - stop)
    check(helios, placed, np.pad(part, around))


def reduced(helios: Helios, rng: np.random.Generator) -> None:
    shape = shape_of(rng, 200_000)
    tensor, x = drawn(helios, rng, shape)
    axes = tuple(axis for axis in range(len(shape)) if rng.random() < 0.5)
    sizes = np.abs(x.astype(np.float64)).sum(axes)
    check(helios, helios.sum(tensor, axes), x.astype(np.float64).sum(axes), 16, sizes)
    check(helios, helios.max(tensor, axes), x.max(axes))
    norm = np.sqrt((x.astype(np.float64) ** 2).sum())
    check(helios, helios.global_norm([tensor, tensor]), np.sqrt(2) * norm, 16, norm)


def selected(helios: Helios, rng: np.random.Generator) -> None:
    rows, width = int(rng.choice([1, 2, 5])), int(rng.choice(LENGTHS + LARGE))
    tensor, x = drawn(helios, rng, (rows, width))
    size = int(rng.integers(1, width + 1))
    values, indices = helios.top_k(tensor, size)
    order = np.argsort(-x, axis=-1, kind="stable")
    np.testing.assert_array_equal(helios.download(indices), order[:, :size])
    check(helios, values, np.take_along_axis(x, order[:, :size], -1))
    np.testing.assert_array_equal(helios.download(helios.argmax(tensor)), order[:, 0])
    picks = helios.gather(tensor, indices, 1)
    check(helios, picks, np.take_along_axis(x, order[:, :size], -1))


def looked_up(helios: Helios, rng: np.random.Generator) -> None:
    count, rows = (int(rng.choice(LENGTHS + LARGE)) for _ in range(2))
    width = int(rng.choice(LENGTHS[:13]))
    ids = np.minimum(rng.zipf(1.4, count) - 1, rows - 1).astype(np.int32)
    grad, g = drawn(helios, rng, (count, width))
    want, sizes = np.zeros((rows, width)), np.zeros((rows, width))
    np.add.at(want, ids, g.astype(np.float64))
    np.add.at(sizes, ids, np.abs(g))
    check(helios, helios.embedding_grad(grad, helios.upload(ids), rows), want, 64, sizes)
    table, x = drawn(helios, rng, (rows, width))
    check(helios, helios.embedding(table, helios.upload(ids)), x[ids])


def dropped(helios: Helios, rng: np.random.Generator) -> None:
    shape = (int(rng.choice(LENGTHS[:8])), *shape_of(rng, 5000))
    tensor, x = drawn(helios, rng, shape)
    numbers, step = rng.integers(0, 2**31, shape[0]).astype(np.int32), int(rng.integers(0, 2**31))
    seed, purpose, rate = int(rng.integers(2**63)), int(rng.integers(2**32)), float(rng.random())
    stream = RandomStream(seed, purpose, helios.upload(np.int32(step)), helios.upload(numbers))
    bits = random_bits(seed, purpose, step, numbers, x.size // shape[0]).reshape(shape)
    mask = np.where(bits < dropout_threshold(rate), np.float32(0), np.float32(1 / (1 - rate)))
    check(helios, helios.dropout(tensor, rate, stream), x * mask)


FAMILIES = (pointwise, moved, reduced, selected, looked_up, dropped)


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_cases_agree_with_numpy(helios: Helios, seed: int) -> None:
    with np.errstate(all="ignore"):  # what is drawn goes beyond f16
        FAMILIES[seed % len(FAMILIES)](helios, np.random.default_rng(seed))
