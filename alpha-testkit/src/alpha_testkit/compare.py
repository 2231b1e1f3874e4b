"""Comparing what a backend computed with a float64 reference, in units of the dtype's rounding error."""

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.dtype import DType, bf16_bits, bf16_values

__all__ = ["EXACT", "Tolerance", "assert_close", "assert_same_bits", "epsilon", "rounded"]

Array = npt.NDArray[Any]

# Distance from 1 to the next number, and the smallest normal number (backends may flush what is smaller to zero).
_EPSILON = {DType.f64: 2.0**-52, DType.f32: 2.0**-23, DType.f16: 2.0**-10, DType.bf16: 2.0**-7}
_SMALLEST = {DType.f64: 2.0**-1022, DType.f32: 2.0**-126, DType.f16: 2.0**-14, DType.bf16: 2.0**-126}


@attrs.frozen
class Tolerance:
    """How far a result may be from the reference, and why that far.

    One unit is the dtype's epsilon times the value itself, or with `of_largest` times the largest value of the result
    (for sums, whose error does not shrink when they cancel), but at least times `least`. The same number of units holds
    for every dtype.
    """

    units: float
    reason: str
    of_largest: bool = False
    least: float = 0.0

    def times(self, factor: float) -> "Tolerance":
        """Returns a tolerance that is wider by a factor."""
        return attrs.evolve(self, units=self.units * factor)


EXACT = Tolerance(0, "no arithmetic that rounds")


def epsilon(dtype: DType) -> float:
    """Returns the distance from 1 to the next larger number of a floating dtype."""
    return _EPSILON[dtype]


def rounded(values: Array, dtype: DType) -> Array:
    """Returns what a tensor of this dtype holds of `values`: float64 after rounding to nearest even, or integers."""
    if not dtype.is_floating:
        return values.astype(dtype.numpy)
    with np.errstate(all="ignore"):
        if dtype is DType.bf16:
            return np.asarray(bf16_values(bf16_bits(values)), dtype=np.float64)
        return values.astype(dtype.numpy).astype(np.float64)


def assert_close(what: str, got: Array, want: Array, dtype: DType, tolerance: Tolerance) -> None:
    """Raises `AssertionError` unless `got` has the shape of `want`, the same NaN and infinities, and close values."""
    assert got.shape == want.shape, f"{what} has shape {list(got.shape)}; {list(want.shape)} is right"
    expected, actual = rounded(want, dtype), got.astype(np.float64)
    with np.errstate(all="ignore"):
        finite = np.isfinite(expected)
        size = np.abs(np.where(finite, expected, 0.0))
        scale = np.maximum(np.max(size, initial=0.0) if tolerance.of_largest else size, tolerance.least)
        allowed = tolerance.units * _EPSILON[dtype] * scale + _SMALLEST[dtype] if dtype.is_floating else 0.0
        error = np.abs(actual - np.where(finite, want, 0.0))
        right = np.where(finite, error <= allowed, (actual == expected) | (np.isnan(actual) & np.isnan(expected)))
        excess = np.where(right, -1.0, np.where(np.isfinite(error) & finite, error / (scale + 1e-300), np.inf))
    if right.all():
        return
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    place = [int(index) for index in worst]
    raise AssertionError(
        f"{what} ({dtype.value}) is wrong in {int((~right).sum())} of {right.size} elements, most at {place}: "
        f"got {actual[worst]!s}, want {expected[worst]!s}"
        f"; allowed are {tolerance.units:g} units of rounding ({tolerance.reason})"
    )


def assert_same_bits(what: str, got: Array, want: Array) -> None:
    """Raises `AssertionError` unless two downloaded arrays agree bit for bit."""
    assert got.shape == want.shape, f"{what} has shape {list(got.shape)}; {list(want.shape)} is right"
    assert got.dtype == want.dtype, f"{what} has dtype {got.dtype}; {want.dtype} is right"
    if got.tobytes() != want.tobytes():
        different = (got != want) & ~(np.isnan(got) & np.isnan(want))
        raise AssertionError(f"{what} differs in {int(different.sum())} of {different.size} elements, by bits")
