"""What the ops of the backend `cpu` are written with: new tensors, and launches of kernels on them."""

import ctypes
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.expression import Expression
from alpha_core.tensor import Shape, Tensor
from alpha_tensor.cpu.jit import Jit, KernelSpec
from alpha_tensor.cpu.storage import Buffer, View, address_of, is_contiguous, row_major, view_of

__all__ = ["SIGNATURE", "Engine", "Following", "Launch"]

Made = TypeVar("Made")

SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


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
    """Ints are passed as i64, floats as doubles."""
    flops: float = 0.0
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
    def nbytes(self) -> int:
        """What the launch has to move at least: each tensor once, updated ones twice."""
        moved = (*self.writes, *self.updates, *self.updates, *self.reads)
        return sum(tensor.nbytes for tensor in moved)

    def table(self, address: "Callable[[Tensor], int]") -> npt.NDArray[np.int64]:
        """Returns the arguments as the kernel reads them."""
        tensors = (*self.writes, *self.updates, *self.reads)
        slots = np.empty(len(tensors) + len(self.values), np.int64)
        slots[: len(tensors)] = [address(tensor) for tensor in tensors]
        for slot, value in enumerate(self.values, len(tensors)):
            if isinstance(value, float):
                slots[slot : slot + 1].view(np.float64)[0] = value
            else:
                slots[slot] = value
        return slots


class Engine(Backend, ABC):
    """Eager execution: a launch runs at once, on the calling thread. `recorder` set, it is noted down instead."""

    jit: Jit

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @property
    def recorder(self) -> Any:
        """What notes down the launches of the calling thread; other threads may compute meanwhile."""
        return getattr(self._of_thread, "recorder", None)

    @recorder.setter
    def recorder(self, recorder: Any) -> None:
        self._of_thread.recorder = recorder

    def empty(self, shape: Shape, dtype: DType = DType.f32) -> Tensor:
        """Returns a contiguous tensor with undefined contents."""
        nbytes = math.prod(shape) * dtype.itemsize
        buffer = Buffer(nbytes) if self.recorder is not None else Buffer.allocate(nbytes)
        return Tensor(tuple(shape), dtype, View(buffer, row_major(shape)))

    def launch(
        self,
        spec: KernelSpec,
        *,
        writes: Sequence[Tensor] = (),
        updates: Sequence[Tensor] = (),
        reads: Sequence[Tensor] = (),
        values: Sequence[int | float] = (),
        flops: float = 0.0,
        into: Callable[[Tensor], Launch | None] | None = None,
        adds: tuple[Tensor, Tensor] | None = None,
        extended: Callable[[Following], Launch | None] | None = None,
        follows: Sequence[Following] = (),
    ) -> None:
        """Runs a kernel; the arguments are those of `Launch`."""
        if self.recorder is not None:
            for tensor in (*writes, *updates):
                self.own(tensor)
            # Later ops may move a tensor elsewhere; this launch goes on to mean the place where it is now.
            places = {id(tensor): (tensor, _in_place(tensor)) for tensor in (*writes, *updates, *reads)}
            writes, updates, reads = ([places[id(t)][1] for t in group] for group in (writes, updates, reads))
            adds = adds and (places[id(adds[0])][1], places[id(adds[1])][1])
            into, extended = into and _placed(into, places), extended and _placed(extended, places)
            follows = [_following(one, places) for one in follows]
        self.run(
            Launch(
                spec,
                tuple(writes),
                tuple(updates),
                tuple(reads),
                tuple(values),
                flops,
                into=into,
                adds=adds,
                extended=extended,
                follows=tuple(follows),
                accumulates=adds is not None,
            )
        )

    def own(self, destination: Tensor) -> None:
        """Makes sure that writing to a tensor changes no other one; called before its strides are looked at.

        The tensor that had a buffer first keeps it, so captured tensors stay where they are; others move to a copy.
        """
        if self.recorder is None:
            return
        view, sharing = view_of(destination), self.recorder.aliases.sharing(destination)
        repeats = any(not stride and length > 1 for stride, length in zip(view.strides, destination.shape, strict=True))
        if repeats or any(known is destination for known in sharing[1:]):
            destination.storage = view_of(self._copied(destination))
            return
        for other in sharing:
            if other is not destination and view_of(other).buffer is view.buffer:
                other.storage = view_of(self._copied(other))

    def run(self, launch: Launch) -> None:
        """Runs a launch at once on the calling thread, or notes it down while a step is recorded."""
        if self.recorder is not None:
            self.recorder.add(launch)
            return
        table = launch.table(address_of)
        SIGNATURE(self.jit.address(launch.spec))(table.ctypes.data, 0, 1)

    def contiguous(self, x: Tensor) -> Tensor:
        """Returns x itself if its elements stand in row-major order, else a copy in which they do."""
        return x if is_contiguous(x) else self._copied(x)

    @abstractmethod
    def _copied(self, x: Tensor) -> Tensor:
        """Returns a contiguous copy."""


def _in_place(tensor: Tensor) -> Tensor:
    return Tensor(tensor.shape, tensor.dtype, view_of(tensor))


def _placed(
    make: Callable[[Made], Launch | None], places: Mapping[int, tuple[Tensor, Tensor]]
) -> Callable[[Made], Launch | None]:
    """Lets a launch that is made later mean tensors where they were when this was said."""

    def placed(argument: Made) -> Launch | None:
        launch = make(argument)
        if launch is None:
            return None
        writes, reads = (tuple(places.get(id(t), (t, t))[1] for t in group) for group in (launch.writes, launch.reads))
        further = launch.extended and _placed(launch.extended, places)
        return attrs.evolve(launch, writes=writes, reads=reads, extended=further)

    return placed


def _following(following: Following, places: Mapping[int, tuple[Tensor, Tensor]]) -> Following:
    """Takes the tensors of a launch, which its `Following` names as well, where they are now."""
    return attrs.evolve(
        following,
        source=places[id(following.source)][1],
        out=places[id(following.out)][1],
        addend=following.addend and places[id(following.addend)][1],
        coefficients=tuple(places[id(one)][1] for one in following.coefficients),
    )
