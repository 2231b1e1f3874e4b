"""The contract of a backend: the ops of `alpha_core.ops`, and `record`."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy.typing as npt

from alpha_core.dtype import DType
from alpha_core.ops.update import UpdateOps
from alpha_core.program import CallingProgram, Program
from alpha_core.tensor import Tensor

__all__ = ["Backend"]


class Backend(UpdateOps):
    """Holds tensors and computes with them.

    A subclass implements the abstract ops, and overrides as many of the others as it has something faster for: every
    composite op has a default in terms of the ops before it, so no caller asks what a backend can do. Check a backend
    with `alpha_testkit.BackendConformance`.
    """

    name: ClassVar[str]
    compute_dtypes: ClassVar[tuple[DType, ...]] = (DType.f32,)
    """The floating dtypes in which every op works; all dtypes can be stored and cast."""

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

    def close(self) -> None:
        """Releases the device. The default has nothing to release."""
