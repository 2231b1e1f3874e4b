"""Launches: one run of a kernel, and what a recorder has to know of it."""

from collections.abc import Callable
from typing import Any

import attrs

from alpha_core.expression import Expression
from alpha_core.recording.storage import stored_bytes
from alpha_core.tensor import Tensor

__all__ = ["Following", "KernelSpec", "Launch"]


@attrs.frozen
class KernelSpec:
    """A kernel and the parameters that it is generated with."""

    build: Callable[..., None]
    parameters: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, build: Callable[..., None], **parameters: Any) -> "KernelSpec":
        return cls(build, tuple(sorted(parameters.items())))

    @property
    def name(self) -> str:
        """What people read in traces: `gemm`, `unary exp`."""
        words = [str(value) for name, value in self.parameters if isinstance(value, str)]
        return " ".join([self.build.__name__, *words])

    @property
    def identity(self) -> str:
        """Tells kernels of one version of the sources apart."""
        shown = ", ".join(
            f"{name}={value.to_json() if isinstance(value, Expression) else value}" for name, value in self.parameters
        )
        return f"{self.build.__module__}.{self.build.__name__}({shown})"


@attrs.frozen(eq=False)
class Following:
    """What a launch does to each element of `source`, so that the kernel that makes `source` may do it at once.

    Without an expression out = source + addend, else out = expression(source + addend); no addend, no sum.
    """

    source: Tensor
    out: Tensor
    addend: Tensor | None
    """Of the shape of `source`, or of its last axis."""
    expression: Expression | None = None
    coefficients: tuple[Tensor, ...] = ()


@attrs.frozen(eq=False)
class Launch:
    """One run of a kernel. Its arguments are, in this order: what it writes, what it updates (reads and writes), what
    it reads, and numbers. A tensor is passed as the address of its first element."""

    spec: KernelSpec
    writes: tuple[Tensor, ...] = ()
    updates: tuple[Tensor, ...] = ()
    reads: tuple[Tensor, ...] = ()
    values: tuple[int | float, ...] = ()
    flops: float = 0.0
    groups: tuple[int, int, int] = (1, 1, 1)
    """Workgroups along three axes, on a device that starts kernels as grids."""
    into: "Callable[[Tensor], Launch | None] | None" = None
    """Makes the launch that adds what this one writes to a tensor instead, with the roundings of the two in a row."""
    adds: tuple[Tensor, Tensor] | None = None
    """Set where all that this launch does is to add the second tensor to the first."""
    extended: "Callable[[Following], Launch | None] | None" = None
    """Makes the launch that does what follows as well, with the roundings of the two in a row."""
    follows: tuple[Following, ...] = ()
    """All that this launch does, said in the ways in which a launch before it could do it as well."""
    accumulates: bool = False
    """Whether `updates` are only added to, so that several copies of them may be added up later."""

    @property
    def changed(self) -> tuple[Tensor, ...]:
        return self.writes + self.updates

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, in the order of the arguments."""
        return self.writes + self.updates + self.reads

    @property
    def nbytes(self) -> int:
        """What the launch has to move at least: each tensor once, updated ones twice."""
        return sum(map(stored_bytes, (*self.tensors, *self.updates)))
