"""What the ops of a recording backend are written with: new tensors, and launches of kernels on them."""

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.recording.launch import Following, KernelSpec, Launch
from alpha_core.recording.storage import Buffer, View, is_contiguous, row_major, view_of
from alpha_core.tensor import Shape, Tensor

__all__ = ["Engine"]

Made = TypeVar("Made")


class Engine(Backend, ABC):
    """Eager execution: a launch runs at once. `recorder` set, it is noted down instead."""

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
        return self._made(shape, dtype, None)

    def result(self, shape: Shape, dtype: DType, operands: Sequence[Tensor]) -> Tensor:
        """Returns a contiguous tensor for what is computed from `operands`, with undefined contents.

        A backend that keeps activations in fewer bits overrides this; the default keeps everything as it is.
        """
        return self.empty(shape, dtype)

    def _made(self, shape: Shape, dtype: DType, stored: DType | None) -> Tensor:
        nbytes = math.prod(shape) * (stored or dtype).itemsize
        buffer = Buffer(nbytes) if self.recorder is not None else self.allocate(nbytes)
        return Tensor(tuple(shape), dtype, View(buffer, row_major(shape), stored=stored))

    @abstractmethod
    def allocate(self, nbytes: int) -> Buffer:
        """Returns a buffer that exists, with undefined contents."""

    def launch(
        self,
        spec: KernelSpec,
        *,
        writes: Sequence[Tensor] = (),
        updates: Sequence[Tensor] = (),
        reads: Sequence[Tensor] = (),
        values: Sequence[int | float] = (),
        flops: float = 0.0,
        groups: tuple[int, int, int] = (1, 1, 1),
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
                groups,
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
        """Runs a launch at once, or notes it down while a step is recorded."""
        if self.recorder is not None:
            self.recorder.add(launch)
        else:
            self.execute(launch)

    @abstractmethod
    def execute(self, launch: Launch) -> None:
        """Runs a launch on tensors whose buffers exist."""

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
