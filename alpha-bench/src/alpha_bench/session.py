"""What the cases of one call share: the backend with its knobs, the text, a folder."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from alpha_bench.case import CaseSkippedError
from alpha_bench.measure import Effort
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import BackendError
from alpha_core.knob import parse_knobs
from alpha_core.plugins import Plugins

__all__ = ["PRECISIONS", "Session"]

PRECISIONS = ("f32", "bf16")


class Session:
    """Everything is made on first use, so that a suite without a backend needs none."""

    def __init__(
        self,
        plugins: Plugins,
        *,
        backend_name: str = "auto",
        effort: Effort | None = None,
        knobs: Sequence[str] = (),
        precisions: Sequence[str] = PRECISIONS,
        data: str | None = None,
    ) -> None:
        """`knobs` are texts such as `threads=2`; `data` is text as `--data` names it, None the standard library."""
        self.plugins = plugins
        self.backend_name = backend_name
        self.effort = effort or Effort()
        self.knobs = tuple(knobs)
        self.precisions = tuple(precisions)
        self.data = data

    @property
    def quick(self) -> bool:
        """Whether cases are shrunk."""
        return self.effort.quick

    @cached_property
    def backend(self) -> Backend:
        """The backend, with its knobs set. Raises what `Plugins.choose_backend` and `Backend.set_knob` raise."""
        backend: Backend = self.plugins.choose_backend(self.backend_name).load()
        for name, value in parse_knobs(self.knobs).items():
            backend.set_knob(name, value)
        return backend

    def multiply_in(self, precision: str) -> None:
        """Sets what products of the backend are computed from. Raises `CaseSkippedError` if it cannot."""
        try:
            self.backend.set_matmul_dtype(DType(precision))
        except BackendError as error:
            raise CaseSkippedError(error.message) from error

    @cached_property
    def folder(self) -> Path:
        """A folder that is removed with the session."""
        self._temporary = tempfile.TemporaryDirectory(prefix="alpha-bench-")
        return Path(self._temporary.name)

    def close(self) -> None:
        """Removes the folder and releases the backend."""
        if "folder" in self.__dict__:
            self._temporary.cleanup()
            del self.folder
        if "backend" in self.__dict__:
            self.backend.close()
            del self.backend

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def to_json(self) -> dict[str, Any]:
        """Returns what another process needs to make the same session."""
        return {
            "backend_name": self.backend_name,
            "effort": attrs.asdict(self.effort),
            "knobs": list(self.knobs),
            "precisions": list(self.precisions),
            "data": self.data,
        }

    @classmethod
    def from_json(cls, plugins: Plugins, content: Mapping[str, Any]) -> "Session":
        return cls(plugins, **{**content, "effort": Effort(**content["effort"])})
