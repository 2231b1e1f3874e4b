"""What the kit's tests of a backend share: the backend, the cases, and comparing results."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from alpha_testkit.compare import Tolerance, assert_close, assert_same_bits
from alpha_testkit.op_cases import OP_CASES, Case, OpCase, Sample, Stored
from alpha_testkit.op_cases.case import Arguments, Array, leaves
from alpha_testkit.uses_backend import UsesBackend

__all__ = ["BackendTests", "by_op", "by_sample"]


class BackendTests(UsesBackend, kit=True):
    """Compares what one backend computes with float64 references."""

    compute_dtypes: ClassVar[tuple[DType, ...]] = (DType.f32,)
    """The backend's `compute_dtypes`, stated here so that pytest can list the tests without opening a device."""

    def make_backend(self) -> Backend:
        """Returns the backend under test. The author defines this."""
        raise NotImplementedError(f"`{type(self).__name__}` must define `make_backend`")

    def compute(self, case: Case, arguments: Mapping[str, Any]) -> Any:
        """Calls the case's op on the backend."""
        return case.op.call(getattr(self.backend, case.op.name), arguments)

    def results(self, case: Case, arguments: Mapping[str, Any], out: Any) -> list[Tensor | None]:
        """Returns the tensors that a call produced: what it returned, or what it wrote."""
        if case.op.spec.writes:
            assert out is None, f"`{case.op.name}` writes in place and returns nothing, but returned {out!r}"
            return [tensor for name in case.op.spec.writes for tensor in leaves(arguments[name])]
        return list(leaves(out))

    def check(self, case: Case, host: Arguments, results: list[Tensor | None], what: str = "the result") -> None:
        """Compares results with the reference of the same host arguments."""
        reference = case.reference(host)
        if case.op.spec.writes:
            reference = [reference[name] for name in case.op.spec.writes]
        wanted = list(leaves(reference))
        assert len(results) == len(wanted), f"`{case.op.name}` gave {len(results)} tensors; {len(wanted)} are right"
        for index, (got, want) in enumerate(zip(results, wanted, strict=True)):
            name = f"{what} of `{case.op.name}`" if len(wanted) == 1 else f"{what} {index} of `{case.op.name}`"
            if want is None:
                assert got is None, f"{name} is {got!r}; None is right"
                continue
            assert got is not None, f"{name} is None; a tensor is right"
            self.check_tensor(name, case, got, want, case.tolerance)

    def check_tensor(self, name: str, case: Case, got: Tensor, want: Any, tolerance: Tolerance) -> None:
        """Compares one tensor with its float64 reference: dtype, shape, NaN and infinities, values."""
        values = want.values if isinstance(want, Stored) else np.asarray(want)
        dtype = want.dtype if isinstance(want, Stored) else DType.i32 if values.dtype == np.int32 else case.dtype
        assert got.dtype is dtype, f"{name} is {got.dtype.value}; {dtype.value} is right"
        array = self.backend.download(got)
        assert array.shape == got.shape, f"{name} says {list(got.shape)} but downloads as {list(array.shape)}"
        assert_close(name, array, values, dtype, tolerance)

    def download_all(self, tensors: Iterable[Tensor | None]) -> list[Array]:
        """Copies tensors to the host; absent ones are left out."""
        return [self.backend.download(tensor) for tensor in tensors if tensor is not None]

    def check_bits(self, what: str, got: Iterable[Array], want: Iterable[Array]) -> None:
        """Compares two lists of downloaded arrays bit for bit."""
        for index, (one, other) in enumerate(zip(got, want, strict=True)):
            assert_same_bits(f"{what}, tensor {index},", one, other)


def by_sample(
    samples: Callable[[OpCase], Iterable[Sample]], dtypes: tuple[DType, ...] | None = None
) -> Callable[[type[BackendTests]], dict[str, Case]]:
    """Returns a table of cases, `op-dtype-sample`, in the backend's compute dtypes or the given ones."""

    def cases(kit: type[BackendTests]) -> dict[str, Case]:
        return {
            f"{op.name}-{dtype.value}-{sample.name}": Case(op, sample, dtype)
            for op in OP_CASES.values()
            for dtype in dtypes or kit.compute_dtypes
            for sample in samples(op)
        }

    return cases


def by_op(chosen: Callable[[OpCase], bool] = lambda op: True) -> Callable[[type[BackendTests]], dict[str, list[Case]]]:
    """Returns a table of all samples of an op in one list: `op-dtype`."""

    def cases(kit: type[BackendTests]) -> dict[str, list[Case]]:
        return {
            f"{op.name}-{dtype.value}": [Case(op, sample, dtype) for sample in op.samples]
            for op in OP_CASES.values()
            if chosen(op)
            for dtype in kit.compute_dtypes
        }

    return cases
