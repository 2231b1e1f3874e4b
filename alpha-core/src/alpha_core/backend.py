"""The contract of a backend: the ops of `alpha_core.ops`, and `record`."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy.typing as npt

from alpha_core.dtype import DType
from alpha_core.errors import BackendError, DTypeError
from alpha_core.knob import Knob, check_knob
from alpha_core.ops.decoding import DecodingOps
from alpha_core.program import CallingProgram, Program
from alpha_core.shape import require_floating
from alpha_core.tensor import Tensor
from alpha_core.trace import Span

__all__ = ["Backend"]


class Backend(DecodingOps):
    """Holds tensors and computes with them.

    A subclass implements the abstract ops, and overrides as many of the others as it has something faster for: every
    composite op has a default in terms of the ops before it, so no caller asks what a backend can do. Check a backend
    with `alpha_testkit.BackendConformance`.
    """

    name: ClassVar[str]
    compute_dtypes: ClassVar[tuple[DType, ...]] = (DType.f32,)
    """The floating dtypes in which every op works; all dtypes can be stored and cast."""

    in_host_memory: ClassVar[bool] = False
    """Whether tensors lie in the host's own memory, so that its bandwidth is the backend's."""

    is_asynchronous: ClassVar[bool] = False
    """Whether programs run on while the caller goes on, so that it pays to hand over work before results are read."""

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of the memory of its own that tensors lie in; None for the host's, and where nobody knows."""
        return None

    @property
    def description(self) -> str:
        """One line about what computes, for logs: device, driver, threads."""
        return self.name

    def record(
        self,
        function: Callable[..., Sequence[Tensor]],
        example_inputs: Sequence[npt.NDArray[Any]],
        *,
        name: str,
        additive: bool = False,
    ) -> Program:
        """Returns a program that computes `function` of new inputs, which a backend may record once and replay.

        `function` takes one tensor for each example input and returns tensors. It must be a pure sequence of ops of
        this backend: no `download`, no decision by value. Tensors that it captures (parameters, gradients) are read and
        written in place at every call; values that change between calls are inputs or captured tensors, never numbers.

        `additive` promises that outputs and in-place accumulation (`add_into`) are sums over axis 0 of all inputs, so
        that a backend may split the batch. This default calls `function` each time.
        """
        return CallingProgram(self, function, example_inputs, name=name, additive=additive)

    def start_download(self, x: Tensor) -> Callable[[], npt.NDArray[Any]]:
        """Asks for a tensor as it is now; the returned function waits for it and gives what `download` would have.

        What is computed in the meantime does not wait. This default downloads at once.
        """
        array = self.download(x)
        return lambda: array

    def set_matmul_dtype(self, dtype: DType) -> None:
        """Chooses what products of f32 operands are computed from, here and in programs that are recorded afterwards.

        With `bf16` or `f16` both operands are rounded to it (to nearest, ties to even), and their products are added up
        in f32: matrix products, and attention, which is made of them. A backend may also store activations in it:
        results of products and embeddings, and what elementwise ops and normalizations make of them. What a caller
        uploads, captures or adds to, sums over rows and losses stay what they are. `f32` rounds nothing.
        The default has nothing but the dtypes in which the backend computes; raises `BackendError`, with the reason,
        for any other one.
        """
        if dtype not in self.compute_dtypes:
            able = ", ".join(known.value for known in self.compute_dtypes)
            raise BackendError(
                f"backend `{self.name}` has no matrix products of {dtype.value} operands; it computes in {able}"
            )

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """The numbers by which this backend can be tuned, at their values now. The default has none."""
        return ()

    def set_knob(self, name: str, value: int) -> None:
        """Sets a knob, for programs that are recorded afterwards.

        Raises `UsageError` for a name that `knobs` has not, and for a value that the knob does not take; an override
        calls this first.
        """
        check_knob(self.knobs, name, value, self.name)

    def start_trace(self) -> None:
        """Starts to note what each kernel takes, afresh. The default has no kernels to speak of."""

    def stop_trace(self) -> list[Span]:
        """Returns what was noted since `start_trace`, in no order, and notes no more; nothing without a start."""
        return []

    def peak_flops(self, dtype: DType) -> float | None:
        """Measures the most FLOP/s that the arithmetic units reach with operands of `dtype`, without a look at memory.

        It is the ceiling that benchmarks hold products against. The default knows none: None.
        """
        return None

    def close(self) -> None:
        """Releases the device. The default has nothing to release."""

    def _require_computed(self, op: str, *tensors: Tensor) -> None:
        """Raises `DTypeError` unless the tensors have one floating dtype, in which this backend computes."""
        dtype = require_floating(op, *tensors)
        if dtype not in self.compute_dtypes:
            able = " and ".join(known.value for known in self.compute_dtypes)
            raise DTypeError(f"`{op}`: `{self.name}` stores {dtype.value} but computes in {able}", hint="use `cast`")

    def _require_arithmetic(self, op: str, dtype: DType, integers: bool = True) -> None:
        """Raises `DTypeError` unless this backend computes in `dtype`; `integers` says whether the op takes i32 too."""
        if not (dtype in self.compute_dtypes or (integers and dtype is DType.i32)):
            raise DTypeError(f"`{op}`: `{self.name}` does not compute this in {dtype.value}", hint="use `cast`")
