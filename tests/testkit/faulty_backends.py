"""Backends with faults that only a careful kit finds: each is small, plausible, and right for ordinary inputs."""

import time
from typing import Any, ClassVar

import numpy as np

from alpha_core.dtype import DType
from alpha_core.knob import Knob
from alpha_core.program import Program
from alpha_core.random import RandomStream
from alpha_core.tensor import Shape, Tensor
from alpha_core.trace import Span
from alpha_tensor.cpu_ref.backend import CpuRef

__all__ = ["FaultyOps", "FaultyRecorder", "FaultyStorage", "FaultyTuning"]


class FaultyOps(CpuRef):
    """Ops that are wrong in some corner."""

    name = "faulty_ops"
    compute_dtypes = (DType.f32,)
    calls = 0

    def softmax(self, x: Tensor) -> Tensor:
        """Overflows: nothing is taken off first."""
        exponentials = self.exp(x)
        return self.div(exponentials, self.sum(exponentials, -1, True))

    def rms_norm_grad(self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
        """Forgets that the norm depends on x."""
        _, dweight = super().rms_norm_grad(grad, x, weight, eps)
        return self.mul(self.mul(grad, weight), self._reciprocal_rms(x, eps)), dweight

    def rotary(self, x: Tensor, cosine: Tensor, sine: Tensor, inverse: bool = False) -> Tensor:
        """Computes in place of its argument."""
        result = super().rotary(x, cosine, sine, inverse)
        x.storage = result.storage
        return result

    def sum_of_squares(self, x: Tensor) -> Tensor:
        """Adds up in another order at every other call."""
        self.calls += 1
        return super().sum_of_squares(self._tensor(np.flip(x.storage), x.dtype) if self.calls % 2 else x)

    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        """Pads with zeros by multiplying, so that NaN leaks into the row below."""
        result = super().matmul(a, b, transpose_a, transpose_b)
        values = np.array(result.storage)
        if values.ndim == 2 and len(values) > 1:
            values[1:] += 0 * values[:-1]
        return self._tensor(values, result.dtype)

    def argmax(self, x: Tensor, axis: int = -1) -> Tensor:
        """Takes the last of equal values."""
        flipped = super().argmax(self._tensor(np.flip(x.storage, axis), x.dtype), axis)
        return self.sub(x.shape[axis] - 1, flipped)

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        soft_cap: float = 0.0,
        dropout_rate: float = 0.0,
        random: RandomStream | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Sees a hint of the last token, smaller than rounding."""
        out, log_sum_exp = super().attention(query, key, value, soft_cap, dropout_rate, random)
        hint = np.asarray(value.storage)[:, :, -1:].mean() * 1e-7 if value.size else 0.0
        return self._tensor(out.storage + np.asarray(hint, out.storage.dtype), out.dtype), log_sum_exp

    def dropout_mask(self, shape: Shape, rate: float, random: RandomStream, dtype: DType) -> Tensor:
        """Numbers the rows 0, 1, 2, ... itself."""
        rows = self.arange(random.rows.size)
        return super().dropout_mask(shape, rate, RandomStream(random.seed, random.stream, random.step, rows), dtype)

    def clamp(self, x: Tensor, low: float, high: float, strict: bool = False) -> Tensor:
        """Has an argument too many."""
        return super().clamp(x, low, high)

    def cast(self, x: Tensor, dtype: DType) -> Tensor:
        """Returns its argument if there is nothing to do."""
        return x if x.dtype is dtype else super().cast(x, dtype)


class FaultyStorage(CpuRef):
    """Storage that truncates bf16, and aliases host arrays."""

    name = "faulty_storage"
    compute_dtypes = (DType.f32,)

    def upload(self, array: Any, dtype: DType | None = None) -> Tensor:
        if dtype is DType.bf16 and array.dtype == np.float32:
            return Tensor(array.shape, dtype, (np.array(array).view(np.uint32) >> 16).astype(np.uint16))
        if array.dtype == np.float64 and dtype in (None, DType.f64):
            return Tensor(array.shape, DType.f64, array)
        return super().upload(array, dtype)


class _MemoizedProgram(Program):
    """Does not run again for the inputs of the last call."""

    def __init__(self, backend: CpuRef, function: Any, example_inputs: Any, name: str) -> None:
        super().__init__(name, example_inputs, additive=False)
        self.backend, self.function = backend, function
        self.last: tuple[list[bytes], list[Tensor]] | None = None

    def _run(self, inputs: Any) -> list[Tensor]:
        key = [array.tobytes() for array in inputs]
        if self.last is None or self.last[0] != key:
            self.last = key, list(self.function(*map(self.backend.upload, inputs)))
        return self.last[1]


class FaultyRecorder(CpuRef):
    """A recorder that takes a program for a pure function of its inputs."""

    name = "faulty_recorder"
    compute_dtypes = (DType.f32,)

    def record(self, function: Any, example_inputs: Any, *, name: str, additive: bool = False) -> Program:
        return _MemoizedProgram(self, function, example_inputs, name)


class FaultyTuning(CpuRef):
    """Truncates the sums of bf16 products, has a knob that changes more than it says, and a trace without an end."""

    name = "faulty_tuning"
    compute_dtypes = (DType.f32,)
    lanes = 1
    spans: ClassVar[list[Span]] = []

    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        self.spans.append(Span("matmul", "thread 0", time.perf_counter(), 0.0))
        result = super().matmul(a, b, transpose_a, transpose_b)
        if self._matmul_dtype is DType.bf16:
            truncated = result.storage.view(np.uint32) & np.uint32(0xFFFF0000)
            return self._tensor(truncated.view(np.float32), result.dtype)
        return self._tensor(result.storage * np.float32(1 + 1e-7 * (self.lanes - 1)), result.dtype)

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return (Knob("lanes", "Parts of a batch.", self.lanes, (1, 4), changes_results=False),)

    def set_knob(self, name: str, value: int) -> None:
        self.lanes = value

    def stop_trace(self) -> list[Span]:
        return list(self.spans)
