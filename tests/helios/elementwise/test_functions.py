"""Elementwise functions against float64: accurate over the whole range, right at the edges of IEEE 754."""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest
from tests.helios.matmul.products import rounded, stored_as

from alpha_core.dtype import DType
from alpha_core.recording.storage import stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

Array = npt.NDArray[Any]

EDGES = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 3.0e38, -3.0e38, 1.5e-38], np.float32)
SIZES = (1, 2, 3, 4, 5, 255, 256, 257, 1023, 1025)


def units(got: Array, want: Array) -> float:
    """How many units in the last place results are off; infinitely many where NaN or infinities are not the same."""
    nearest = want.astype(np.float32)
    normal = np.isfinite(nearest) & (np.abs(want) >= 2.0**-126)
    if not np.array_equal(got[~np.isfinite(nearest)], nearest[~np.isfinite(nearest)], equal_nan=True):
        return float("inf")
    if np.max(np.abs(got[np.abs(want) < 2.0**-126]), initial=0.0) > 2.0**-126:
        return float("inf")
    off = np.abs(got[normal].astype(np.float64) - want[normal]) / np.spacing(np.abs(nearest[normal]))
    return float(np.max(off, initial=0.0))


def wide(rng: np.random.Generator, count: int) -> Array:
    """Numbers of every size that f32 has."""
    sizes = np.exp(rng.uniform(-87, 88, count)) * rng.choice([-1, 1], count)
    return np.concatenate([EDGES, sizes.astype(np.float32)])


@pytest.mark.parametrize(
    ("name", "reference", "reach", "limit"),
    [
        ("exp", np.exp, 95.0, 1.5),
        ("log", np.log, None, 1.5),
        ("sqrt", np.sqrt, None, 2.0),
        ("tanh", np.tanh, 12.0, 5.0),
        ("sigmoid", lambda x: np.exp(-np.logaddexp(0.0, -x)), 80.0, 5.0),
    ],
)
def test_functions_are_accurate(
    helios: Helios, name: str, reference: Callable[[Array], Array], reach: float | None, limit: float
) -> None:
    rng = np.random.default_rng(0)
    x = wide(rng, 100_000)
    if reach is not None:
        x = np.concatenate([EDGES, rng.uniform(-reach, reach, 100_000).astype(np.float32), np.float32(1e-4) * x[10:90]])
    with np.errstate(all="ignore"):
        assert units(helios.download(getattr(helios, name)(helios.upload(x))), reference(x.astype(np.float64))) <= limit


def test_quotients_are_accurate(helios: Helios) -> None:
    rng = np.random.default_rng(0)
    a, b = wide(rng, 100_000), rng.permutation(wide(rng, 100_000))
    a, b = np.concatenate([a, np.repeat(EDGES, EDGES.size)]), np.concatenate([b, np.tile(EDGES, EDGES.size)])
    with np.errstate(all="ignore"):
        want = a.astype(np.float64) / b.astype(np.float64)
        assert units(helios.download(helios.div(helios.upload(a), helios.upload(b))), want) <= 2.0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("start", [3, 8])
def test_every_element_is_computed_and_nothing_beside_them(helios: Helios, size: int, start: int) -> None:
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    around = helios.full((size + 16,), 7.0)
    inside = Tensor((size,), DType.f32, attrs.evolve(view_of(around), strides=(1,), offset=start))
    source = helios.upload(x)
    helios.assign(inside, source)
    helios.add_into(inside, source)
    np.testing.assert_array_equal(helios.download(around), [*[7.0] * start, *(x + x), *[7.0] * (16 - start)])


@pytest.mark.parametrize("source", DType)
@pytest.mark.parametrize("target", [DType.i32, DType.i8, DType.f64, DType.bf16])
def test_extreme_numbers_are_cast(helios: Helios, source: DType, target: DType) -> None:
    """To integers: truncated, to the nearest that there is, NaN to 0; from i32 with one rounding."""
    if source is DType.i32:
        given: Array = np.array([2**31 - 1, -(2**31), 2**24 + 1, 2**24 + 3, 2**24 + 2**16 + 1, -65521, 0], np.int32)
    elif source is DType.i8:
        given = np.arange(-128, 128).astype(np.int8)
    else:
        given = np.array([np.nan, np.inf, -np.inf, 2.0**31, -(2.0**31), 2.0**31 - 128, 127.99, -128.99, -0.99, 3.5])
    tensor = helios.upload(given, source)
    values = helios.download(tensor).astype(np.float64)
    got = helios.download(helios.cast(tensor, target))
    if target.is_floating:
        np.testing.assert_array_equal(got, rounded(values, DType.bf16) if target is DType.bf16 else values)
    elif source is DType.i32:
        np.testing.assert_array_equal(got, given.astype(target.numpy))
    else:
        limits = np.iinfo(target.numpy)
        np.testing.assert_array_equal(got, np.clip(np.trunc(np.nan_to_num(values, nan=0.0)), limits.min, limits.max))


@pytest.mark.parametrize("stored", [DType.bf16, DType.f16])
def test_operands_may_be_stored_in_different_ways(helios: Helios, stored: DType) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((6, 20)).astype(np.float32) for _ in range(2))
    short, full = stored_as(helios, a, stored), helios.upload(b)
    kept = rounded(a, stored)
    total = helios.add(short, full)
    assert stored_dtype(total) is stored
    np.testing.assert_array_equal(helios.download(total), rounded(kept + b, stored))
    condition = helios.greater(full, short)
    np.testing.assert_array_equal(
        helios.download(helios.where(condition, short, full)), rounded(np.where(b > kept, kept, b), stored)
    )
    helios.add_into(full, short)
    np.testing.assert_array_equal(helios.download(full), b + kept)
    helios.assign(full, short)
    np.testing.assert_array_equal(helios.download(full), kept)
    helios.assign(short, helios.upload(b))
    np.testing.assert_array_equal(helios.download(short), rounded(b, stored))
