"""Programs: a step that was handed to a backend once and is called many times."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from alpha_core.errors import ShapeError
from alpha_core.tensor import Shape, Tensor

if TYPE_CHECKING:
    from alpha_core.backend import Backend

__all__ = ["CallingProgram", "Program"]


class Program(ABC):
    """A recorded step; `Backend.record` makes it. Inputs have the shapes and dtypes of the examples."""

    def __init__(self, name: str, example_inputs: Sequence[npt.NDArray[Any]], *, additive: bool) -> None:
        self.name = name
        self.additive = additive
        self.input_specs: tuple[tuple[Shape, Any], ...] = tuple((array.shape, array.dtype) for array in example_inputs)

    @property
    def peak_bytes(self) -> int | None:
        """Bytes of intermediates at the worst moment, known before the first call; None on a backend without a plan."""
        return None

    def __call__(self, *inputs: npt.NDArray[Any]) -> list[Tensor]:
        """Runs the step. The returned tensors are valid until the program is called again."""
        given = tuple((array.shape, array.dtype) for array in inputs)
        if given != self.input_specs:
            raise ShapeError(f"program `{self.name}` takes {_shown(self.input_specs)}; given was {_shown(given)}")
        return self._run(inputs)

    @abstractmethod
    def _run(self, inputs: Sequence[npt.NDArray[Any]]) -> list[Tensor]:
        """Runs the step on checked inputs."""


class CallingProgram(Program):
    """The program of a backend that does not record: it calls the function each time."""

    def __init__(
        self,
        backend: "Backend",
        function: Callable[..., Sequence[Tensor]],
        example_inputs: Sequence[npt.NDArray[Any]],
        *,
        name: str,
        additive: bool,
    ) -> None:
        super().__init__(name, example_inputs, additive=additive)
        self._backend = backend
        self._function = function

    def _run(self, inputs: Sequence[npt.NDArray[Any]]) -> list[Tensor]:
        return list(self._function(*(self._backend.upload(array) for array in inputs)))


def _shown(specs: Sequence[tuple[Shape, Any]]) -> str:
    return ", ".join(f"{dtype}{list(shape)}" for shape, dtype in specs) or "no inputs"
