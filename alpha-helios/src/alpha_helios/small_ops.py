"""Ops on few elements, called by themselves, on the reference backend: a launch takes longer than they do in numpy.

For programs that work step by step, such as a session at a prompt. What is recorded never comes here; it may round
differently.
"""

import math
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.op import ops_of
from alpha_core.random import RandomStream
from alpha_core.recording.launch import Launch
from alpha_core.recording.storage import Deferred, View, view_of
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

__all__ = ["OnHost", "SmallOps"]


class OnHost(Deferred):
    """A tensor of the reference backend, which is uploaded when a kernel looks at it."""

    def __init__(self, tensor: Tensor, upload: Callable[[Tensor], Tensor]) -> None:
        self.tensor, self._upload = tensor, upload

    def view(self) -> View:
        return view_of(self._upload(self.tensor))


class SmallOps(Helios):
    """`helios` with another backend for small tensors. Ops that change a tensor in place run on the device."""

    def __init__(self, reference: Backend, limit: int, **options: Any) -> None:
        """`reference` computes ops whose tensors have at most `limit` elements; `options` are those of `Helios`."""
        self._reference, self._limit = reference, 0  # the self-test means the device
        super().__init__(**options)
        self._limit = limit

    def upload(self, array: npt.NDArray[Any], dtype: DType | None = None) -> Tensor:
        if self.recorder is None and not self._inside and np.size(array) <= self._limit:
            return self._kept(self._reference.upload(array, dtype))
        return super().upload(array, dtype)

    def start_download(self, x: Tensor) -> Callable[[], npt.NDArray[Any]]:
        if isinstance(x.storage, OnHost) and self.recorder is None:
            return self._reference.start_download(x.storage.tensor)
        return super().start_download(x)

    def execute(self, launch: Launch) -> None:
        for tensor in launch.tensors:
            view_of(tensor)  # whatever is to be uploaded comes before the launch is queued
        super().execute(launch)

    def routed(self, name: str, device_op: Callable[..., Any], arguments: Any, options: dict[str, Any]) -> Any:
        """Runs an op where it belongs."""
        given = [*_leaves((*arguments, *options.values()))]
        # Whole numbers too: shapes, and lengths of what is made.
        sizes = (one.size if isinstance(one, Tensor) else one for one in given if isinstance(one, Tensor | int))
        elsewhere = (
            self.recorder is not None
            or self._inside
            or self.matmul_dtype is not DType.f32
            or max(sizes, default=0) > self._limit
            or any(isinstance(one, RandomStream) or getattr(one, "dtype", None) is DType.f64 for one in given)
        )
        if elsewhere or not self._limit:
            before, self._of_thread.inside = self._inside, True
            try:
                return device_op(self, *arguments, **options)
            finally:
                self._of_thread.inside = before
        values = {key: _mapped(option, self._fetched) for key, option in options.items()}
        return _mapped(getattr(self._reference, name)(*_mapped(arguments, self._fetched), **values), self._kept)

    @property
    def _inside(self) -> bool:
        """Whether an op of the device is at work, whose own steps belong there too."""
        return getattr(self._of_thread, "inside", False)

    def _fetched(self, x: Tensor) -> Tensor:
        """Returns a tensor of the reference backend with the values of one of this backend."""
        if isinstance(x.storage, OnHost):
            return x.storage.tensor
        return self._reference.upload(super().start_download(x)(), x.dtype)

    def _kept(self, x: Tensor) -> Tensor:
        """Returns a tensor of this backend with the values of one of the reference backend."""
        return Tensor(x.shape, x.dtype, OnHost(x, self._uploaded))

    def _uploaded(self, x: Tensor) -> Tensor:
        return super().upload(self._reference.download(x), x.dtype)


def _leaves(value: Any) -> Iterator[Any]:
    """Yields arguments, those in sequences one by one; a shape as its number of elements."""
    if isinstance(value, list | tuple):
        if value and all(isinstance(one, int) for one in value):
            yield math.prod(value)
        else:
            for one in value:
                yield from _leaves(one)
    else:
        yield value


def _mapped(value: Any, move: Callable[[Tensor], Tensor]) -> Any:
    """Replaces tensors, also in sequences."""
    if isinstance(value, Tensor):
        return move(value)
    return type(value)(_mapped(one, move) for one in value) if isinstance(value, list | tuple) else value


def _routed(name: str, device_op: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(device_op)
    def op(self: SmallOps, *arguments: Any, **options: Any) -> Any:
        return self.routed(name, device_op, arguments, options)

    return op


for _spec in ops_of(Backend).values():
    if not _spec.writes:
        setattr(SmallOps, _spec.name, _routed(_spec.name, getattr(Helios, _spec.name)))
