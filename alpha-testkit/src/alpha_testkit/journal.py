"""A backend that notes which ops are called, to tell whether a function is the same sequence of ops each time."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.op import ops_of
from alpha_core.tensor import Tensor

__all__ = ["Journal"]


def _noted(name: str) -> Callable[..., Any]:
    signature = inspect.signature(getattr(Backend, name))

    def method(self: "Journal", *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        self.entries.append((name, self._shown(list(bound.arguments.values())[1:])))
        out = getattr(self.backend, name)(*args, **kwargs)
        self._shown(out)
        return out

    return method


# Every op of the contract gets the same method, as on a tape.
_NotedBackend: Any = type("_NotedBackend", (Backend,), {name: _noted(name) for name in ops_of(Backend)})


class Journal(_NotedBackend):  # type: ignore[misc]
    """Computes on another backend. `entries` are the calls: op and arguments, tensors by number of first appearance.

    Two runs of a function that a backend may record once and replay have equal entries: they differ in the contents of
    tensors alone. A number that a function took from the host shows as a difference.
    """

    name = "journal"

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.compute_dtypes = backend.compute_dtypes
        self.entries: list[tuple[str, str]] = []
        self._numbers: dict[Tensor, int] = {}

    def upload(self, array: npt.NDArray[Any], dtype: DType | None = None) -> Tensor:
        self.entries.append(("upload", f"{array.tolist()} {dtype}"))
        return self.backend.upload(array, dtype)

    def download(self, x: Tensor) -> npt.NDArray[Any]:
        self.entries.append(("download", self._shown(x)))
        return self.backend.download(x)

    def _shown(self, value: Any) -> str:
        if isinstance(value, Tensor):
            return f"#{self._numbers.setdefault(value, len(self._numbers))}{value!r}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self._shown, value))}]"
        return repr(value)
