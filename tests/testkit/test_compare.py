"""Comparing with a reference catches what is outside the tolerance, and nothing else."""

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_testkit.compare import EXACT, Tolerance, assert_close, assert_same_bits, epsilon, rounded

TWO_UNITS = Tolerance(2, "a test")


@pytest.mark.parametrize("dtype", [DType.f64, DType.f32, DType.f16, DType.bf16])
def test_two_units_are_allowed_and_three_are_not(dtype: DType) -> None:
    want = np.array([1.0, 1024.0])
    assert_close("it", want * (1 + 2 * epsilon(dtype)), want, dtype, TWO_UNITS)
    with pytest.raises(AssertionError, match=r"it \(.*\) is wrong in 1 of 2 elements, most at \[1\].*a test"):
        assert_close("it", want + np.array([0, 3 * 1024 * epsilon(dtype)]), want, dtype, TWO_UNITS)


def test_an_error_beside_a_large_value_counts_only_with_of_largest() -> None:
    want, got = np.array([1e-6, 1.0]), np.array([1.1e-6, 1.0])
    assert_close("it", got, want, DType.f32, Tolerance(2, "a sum", of_largest=True))
    with pytest.raises(AssertionError, match=r"most at \[0\]"):
        assert_close("it", got, want, DType.f32, TWO_UNITS)


def test_least_is_the_smallest_scale() -> None:
    assert_close("it", np.array([1e-7]), np.array([0.0]), DType.f32, Tolerance(1, "cancels", least=1.0))
    with pytest.raises(AssertionError):
        assert_close("it", np.array([1e-7]), np.array([0.0]), DType.f32, Tolerance(1, "exact"))


@pytest.mark.parametrize(
    ("got", "want"),
    [(np.nan, 1.0), (1.0, np.nan), (np.inf, np.nan), (np.inf, -np.inf), (3e38, np.inf), (np.inf, 3e38)],
)
def test_nan_and_infinity_must_be_where_they_belong(got: float, want: float) -> None:
    with pytest.raises(AssertionError):
        assert_close("it", np.array([0.0, got]), np.array([0.0, want]), DType.f32, Tolerance(1e9, "wide"))


def test_a_reference_that_overflows_the_dtype_is_infinite() -> None:
    assert_close("it", np.array([np.inf, -np.inf, np.nan]), np.array([1e300, -np.inf, np.nan]), DType.f32, EXACT)


def test_integers_are_exact() -> None:
    assert_close("it", np.array([3], np.int32), np.array([3], np.int32), DType.i32, TWO_UNITS)
    with pytest.raises(AssertionError):
        assert_close("it", np.array([4], np.int32), np.array([3], np.int32), DType.i32, TWO_UNITS)


def test_shapes_must_agree() -> None:
    with pytest.raises(AssertionError, match=r"\[2, 1\]; \[2\] is right"):
        assert_close("it", np.zeros((2, 1)), np.zeros(2), DType.f32, EXACT)


def test_same_bits_tells_negative_zero_and_dtypes_apart() -> None:
    assert_same_bits("it", np.array([np.nan, 0.0]), np.array([np.nan, 0.0]))
    with pytest.raises(AssertionError, match="by bits"):
        assert_same_bits("it", np.array([0.0]), np.array([-0.0]))
    with pytest.raises(AssertionError, match="dtype"):
        assert_same_bits("it", np.zeros(1, np.float32), np.zeros(1))


def test_rounding_is_to_nearest_even() -> None:
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-40])
    np.testing.assert_array_equal(rounded(ties, DType.bf16), [1.0, 1 + 2.0**-6, 1 + 2.0**-7])
