"""Tests of what a backend is told beside ops: the operands of products, its knobs, and to note what takes how long."""

import time
from typing import Any

import numpy as np
import pytest

from alpha_core.dtype import DType
from alpha_core.errors import BackendError, UsageError
from alpha_core.tensor import Tensor
from alpha_testkit.backend_base import BackendTests
from alpha_testkit.compare import Tolerance, assert_close, rounded
from alpha_testkit.op_cases.case import Array

__all__ = ["TuningTests"]

SHAPES = (((3, 5), (5, 7)), ((33, 65), (65, 17)), ((2, 3, 8, 16), (2, 3, 16, 9)), ((1, 1), (1, 1)), ((4, 0), (0, 3)))
SUM = Tolerance(16, "f32 sums of a few dozen exact products in any order", of_largest=True)
ROUNDED = Tolerance(0.51, "the same sums, rounded once to where they are kept")
SHORT = (DType.bf16, DType.f16)
CHOICES = 4  # of a knob, at most


class TuningTests(BackendTests, kit=True):
    """What is set has the effect that it says, and nothing else changes."""

    @pytest.mark.parametrize("dtype", SHORT, ids=lambda dtype: dtype.value)
    def test_short_products(self, dtype: DType) -> None:
        """Operands are rounded to bf16 or f16 and added up in f32, or the backend says that it cannot.

        It may keep the results in that dtype too, rounded to nearest even once.
        """
        if not self._set(dtype):
            return
        try:
            generator = np.random.default_rng(0)
            for left, right in SHAPES:
                a, b = (generator.standard_normal(shape).astype(np.float32) for shape in (left, right))
                want = np.matmul(rounded(a, dtype), rounded(b, dtype))
                for transpose_a in (False, True):
                    for transpose_b in (False, True):
                        product = self.backend.matmul(
                            self._stored(a, transpose_a), self._stored(b, transpose_b), transpose_a, transpose_b
                        )
                        got = self.backend.download(product)
                        name = f"`matmul` of {left} and {right}, transposed: {transpose_a}, {transpose_b}"
                        if np.array_equal(got, rounded(got, dtype)):
                            assert_close(name, got, want, dtype, ROUNDED)
                        else:
                            assert_close(name, got, want, DType.f32, SUM)
        finally:
            self.backend.set_matmul_dtype(DType.f32)

    @pytest.mark.parametrize("dtype", SHORT, ids=lambda dtype: dtype.value)
    def test_short_products_keep_what_is_not_finite(self, dtype: DType) -> None:
        """Infinity and NaN stay, and do not reach other rows."""
        if not self._set(dtype):
            return
        try:
            for value in (np.inf, np.nan):
                a = np.ones((3, 4), np.float32)
                a[1, 2] = value
                got = self.backend.download(
                    self.backend.matmul(self.backend.upload(a), self.backend.upload(np.ones((4, 2), np.float32)))
                )
                np.testing.assert_array_equal(got, [[4, 4], [value, value], [4, 4]])
        finally:
            self.backend.set_matmul_dtype(DType.f32)

    def test_matmul_dtype_can_be_set_back(self) -> None:
        """Products of f32 operands, before and after any in 16 bits, have the same bits."""
        generator = np.random.default_rng(1)
        a, b = (self.backend.upload(generator.standard_normal((19, 19)).astype(np.float32)) for _ in range(2))
        before = self.backend.download(self.backend.matmul(a, b))
        for dtype in SHORT:
            self._set(dtype)
        self.backend.set_matmul_dtype(DType.f32)
        self.check_bits("the product", [self.backend.download(self.backend.matmul(a, b))], [before])

    def test_matmul_dtype_refuses(self) -> None:
        """Operands that no product has raise `BackendError`."""
        with pytest.raises(BackendError, match="i32"):
            self.backend.set_matmul_dtype(DType.i32)

    def test_knobs_are_described(self) -> None:
        """Each knob has a name of its own, a summary, ascending choices, and a value that it takes."""
        knobs = self.backend.knobs
        assert len({knob.name for knob in knobs}) == len(knobs)
        for knob in knobs:
            assert knob.name.isidentifier()
            assert knob.summary
            assert list(knob.choices) == sorted(set(knob.choices))
            assert knob.problem(knob.value) is None, knob

    def test_knobs_refuse(self) -> None:
        """A name that no knob has and a value that a knob does not take raise `UsageError`."""
        with pytest.raises(UsageError, match="no knob `no_such_knob`"):
            self.backend.set_knob("no_such_knob", 1)
        for knob in self.backend.knobs:
            with pytest.raises(UsageError, match=f"knob `{knob.name}`"):
                self.backend.set_knob(knob.name, knob.choices[-1] + 1)

    def test_knobs_keep_results(self) -> None:
        """Only a knob that says so changes results, and then by rounding alone."""
        generator = np.random.default_rng(2)
        batch = generator.standard_normal((12, 8)).astype(np.float32)
        weight = self.backend.upload(generator.standard_normal((8, 8)).astype(np.float32))
        want = self._accumulated(batch, weight)
        for knob in self.backend.knobs:
            try:
                for choice in knob.choices[:CHOICES]:
                    self.backend.set_knob(knob.name, choice)
                    assert {k.name: k.value for k in self.backend.knobs}[knob.name] == choice
                    got, what = self._accumulated(batch, weight), f"the sum with {knob.name}={choice}"
                    if knob.changes_results:
                        assert_close(what, got, want.astype(np.float64), DType.f32, SUM)
                    else:
                        self.check_bits(what, [got], [want])
            finally:
                self.backend.set_knob(knob.name, knob.value)

    def test_trace(self) -> None:
        """Spans of kernels lie between start and stop; nothing is noted before and after."""
        batch = np.ones((4, 8), np.float32)
        weight = self.backend.upload(np.ones((8, 8), np.float32))
        assert self.backend.stop_trace() == []
        self._accumulated(batch, weight)
        began = time.perf_counter()
        self.backend.start_trace()
        self._accumulated(batch, weight)
        spans = self.backend.stop_trace()
        ended = time.perf_counter()
        for span in spans:
            assert span.name
            assert span.track
            assert span.duration >= 0
            assert min(span.flops, span.bytes) >= 0
            assert began <= span.start <= span.start + span.duration <= ended, span
        assert self.backend.stop_trace() == []

    def _set(self, dtype: DType) -> bool:
        """Chooses the dtype of operands; false where the backend has no such products and says so."""
        try:
            self.backend.set_matmul_dtype(dtype)
        except BackendError as error:
            assert dtype.value in str(error)  # noqa: PT017 (the error is one of two right answers)
            return False
        return True

    def _stored(self, array: Array, transposed: bool) -> Tensor:
        return self.backend.upload(np.ascontiguousarray(array.swapaxes(-1, -2)) if transposed else array)

    def _accumulated(self, batch: Array, weight: Tensor) -> Array:
        """Returns what a recorded, additive step sums over a batch."""
        total: Any = self.backend.zeros((8, 8))

        def accumulate(x: Tensor) -> list[Tensor]:
            product = self.backend.tanh(self.backend.matmul(x, weight))
            self.backend.add_into(total, self.backend.matmul(product, x, transpose_a=True))
            return []

        self.backend.record(accumulate, [batch], name="accumulate", additive=True)(batch)
        return self.backend.download(total)
