"""Tests of a backend's storage: upload, download, and conversion between all dtypes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError
from alpha_testkit.backend_base import BackendTests
from alpha_testkit.compare import assert_same_bits
from alpha_testkit.conformance import each
from alpha_testkit.op_cases import OP_CASES, Case
from alpha_testkit.op_cases.case import Array

__all__ = ["StorageTests"]

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (0, 3), (3, 5), (2, 3, 7), (33, 65))
SMALLEST_F16, LARGEST_F16 = 2.0**-24, 65504.0

# Values around everything that rounding to f16 or bf16 can get wrong.
EDGES = np.array(
    [
        *(0.0, -0.0, 1.0, -1.5, 1 / 3, -2 / 3, 1e-3, 12345.678, 3.0e38, -3.0e38, np.inf, -np.inf, np.nan),
        *(1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, 1 + 2.0**-8 - 2.0**-20),  # ties of bf16, and beside
        *(1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-20, 1 + 2.0**-11 - 2.0**-20),  # ties of f16
        *(LARGEST_F16, 65519.0, 65520.0, -65520.0, 1e6),  # 65520 is the first that rounds to infinity
        *(SMALLEST_F16, SMALLEST_F16 / 2, SMALLEST_F16 * 0.75, SMALLEST_F16 * 1.5, 2.0**-14, 2.0**-14 * 0.999),
        *(3.39e38, 3.3961775e38),  # the largest bf16 is 3.3895e38: up to half a step above it rounds down
        *(1 + 2.0**-8 + 2.0**-40, 1 + 3 * 2.0**-8 - 2.0**-40),  # a way through f32 would make them ties of bf16
        *(1 + 2.0**-11 + 2.0**-40, 1 + 3 * 2.0**-11 - 2.0**-40),  # and of f16
    ]
)


def _same(dtypes: Iterable[DType]) -> dict[str, DType]:
    return {dtype.value: dtype for dtype in dtypes}


def _pairs(kit: type[BackendTests]) -> dict[str, tuple[DType, DType]]:
    return {f"{source.value}-{target.value}": (source, target) for source in DType for target in DType}


def _uploads(kit: type[BackendTests]) -> dict[str, tuple[DType, DType]]:
    return {
        f"{source.value}-{target.value}": (source, target)
        for source in (DType.f64, DType.f32)
        for target in (DType.f64, DType.f32, DType.f16, DType.bf16)
    }


def _storage_cases(kit: type[BackendTests]) -> dict[str, list[Case]]:
    return {
        f"{op.name}-{dtype.value}": [Case(op, sample, dtype) for sample in op.samples]
        for op in OP_CASES.values()
        if op.storage
        for dtype in DType
        if dtype not in kit.compute_dtypes
    }


def _as_bf16(values: Array) -> Array:
    """Rounds values to the nearest of the two bf16 numbers around them; of a tie to the one with an even bit.

    Found by comparing distances in float64, so that it shares nothing with `alpha_core.dtype.bf16_bits`.
    """
    bits = values.astype(np.float32).view(np.uint32)
    low_bits = (bits >> 16).astype(np.uint64)
    low, high = (_of_bf16(candidate) for candidate in (low_bits, low_bits + 1))
    high = np.where(np.isinf(high), np.copysign(2.0**128, high), high)  # where the next number would be
    below, above = np.abs(values - low), np.abs(high - values)
    up = (above < below) | ((above == below) & (low_bits % 2 == 1))
    nearest = np.where(up, high, low)
    nearest = np.where(np.abs(nearest) >= 2.0**128, np.copysign(np.inf, nearest), nearest)
    return np.asarray(np.where(np.isfinite(values), nearest, values)).astype(np.float32)


def _of_bf16(bits: Array) -> Array:
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)


def _converted(values: Array, dtype: DType) -> Array:
    """Returns what a download shows of values in another dtype."""
    with np.errstate(all="ignore"):
        return _as_bf16(values) if dtype is DType.bf16 else values.astype(dtype.numpy)


def _host(values: Array, dtype: DType) -> Array:
    """Returns an array that a tensor of `dtype` holds exactly, as a download shows it."""
    return _converted(values, dtype) if dtype.is_floating else np.clip(values * 20, -128, 127).astype(dtype.numpy)


class StorageTests(BackendTests, kit=True):
    """Tensors keep what they were given, in every dtype."""

    @each(lambda kit: _same(DType))
    def test_round_trip(self, case: DType) -> None:
        """What was uploaded is downloaded, in every shape."""
        generator = np.random.default_rng(0)
        for shape in SHAPES:
            array = _host(np.asarray(generator.standard_normal(shape), np.float32), case)
            tensor = self.backend.upload(array, case)
            assert (tensor.shape, tensor.dtype) == (shape, case)
            assert_same_bits(f"{case.value}{list(shape)}", self.backend.download(tensor), array)

    @each(lambda kit: _same((DType.f64, DType.f32, DType.f16, DType.i32, DType.i8)))
    def test_upload_takes_the_dtype_of_the_array(self, case: DType) -> None:
        """Without a dtype, a tensor has the array's."""
        assert self.backend.upload(np.zeros((2, 3), case.numpy)).dtype is case

    @each(lambda kit: {name: np.dtype(name) for name in ("int64", "uint8", "uint16", "bool", "complex64")})
    def test_upload_refuses(self, case: np.dtype[Any]) -> None:
        """An array whose dtype no tensor has raises `DTypeError`."""
        with pytest.raises(DTypeError):
            self.backend.upload(np.zeros(3, case))

    @each(_uploads)
    def test_upload_rounds_to_nearest_even(self, case: tuple[DType, DType]) -> None:
        """Values are converted with one rounding: ties, subnormals, overflow and NaN."""
        source, target = case
        values = _converted(EDGES, source)
        got = self.backend.download(self.backend.upload(values, target))
        np.testing.assert_array_equal(got, _converted(values, target))

    def test_upload_takes_any_layout(self) -> None:
        """Strided, reversed, transposed and read-only arrays arrive in their logical order."""
        base = np.arange(24, dtype=np.float32).reshape(4, 6)
        base.flags.writeable = False
        for array in (base[::2, 1::2], base[::-1], base.T, np.asfortranarray(base), base[:, :1]):
            np.testing.assert_array_equal(self.backend.download(self.backend.upload(array)), array)

    @each(lambda kit: _same(DType))
    def test_upload_copies(self, case: DType) -> None:
        """Changing the host array afterwards does not change the tensor."""
        array = _host(np.ones((3, 5), np.float32), case)
        tensor = self.backend.upload(array, case)
        array[...] = 7
        assert not (self.backend.download(tensor) == 7).any()

    @each(lambda kit: _same(DType))
    def test_download_copies(self, case: DType) -> None:
        """Changing a downloaded array does not change the tensor."""
        tensor = self.backend.upload(_host(np.ones((3, 5), np.float32), case), case)
        array = self.backend.download(tensor)
        array[...] = 7
        assert not (self.backend.download(tensor) == 7).any()

    def test_constant(self) -> None:
        """A table that the host computed arrives rounded to the dtype."""
        table = np.linspace(-1, 1, 15).reshape(3, 5).T
        tensor = self.backend.constant(table, DType.f32)
        np.testing.assert_array_equal(self.backend.download(tensor), table.astype(np.float32))

    @each(_pairs)
    def test_cast(self, case: tuple[DType, DType]) -> None:
        """Any dtype converts to any: to nearest even, toward zero for i32 and i8."""
        source, target = case
        if DType.i8 in case:
            small = np.array([0.0, -0.0, 0.75, -0.75, 2.5, -2.5, 100.0, 127.0, -128.0], np.float32)
            values: Array = _converted(small, source)
        elif source is DType.i32:
            values = np.array([0, 1, -7, 2047, 2049, 65519, 2**24 + 1, -(2**31), 2**31 - 1], np.int32)
        elif target is DType.i32:
            values = _converted(np.array([0.0, -0.0, 0.75, -0.75, 2.5, -2.5, 1000.0, -30000.0], np.float32), source)
        else:
            values = _converted(EDGES, source)
        got = self.backend.download(self.backend.cast(self.backend.upload(values, source), target))
        np.testing.assert_array_equal(got, _converted(values, target))

    @each(_storage_cases)
    def test_every_dtype(self, case: list[Case]) -> None:
        """Ops that move elements work in dtypes that are only stored."""
        for one in case:
            host = one.host()
            arguments = one.upload(self.backend, host)
            out = one.op.call(getattr(self.backend, one.op.name), arguments)
            self.check(one, host, self.results(one, arguments, out), f"sample `{one.sample.name}`")
