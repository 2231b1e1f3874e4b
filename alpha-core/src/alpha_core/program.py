"""Programs: a step that was handed to a backend once and is called many times."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from alpha_core.errors import OpError, ShapeError
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
        """Bytes that the program holds beside captured tensors, known before the first call; None without a plan.

        They are those of intermediates at the worst moment, and of what the backend keeps for the program, such as
        packed weights and the gradients of lanes.
        """
        return None

    @property
    def dispatches(self) -> int | None:
        """How many kernels a call starts, known before the first one; None where nobody counts them."""
        return None

    def __call__(self, *inputs: npt.NDArray[Any]) -> list[Tensor]:
        """Runs the step. The returned tensors are valid until the program is called again."""
        self._check(inputs)
        return self._run(inputs)

    def repeat(self, times: int, *inputs: npt.NDArray[Any]) -> list[Tensor]:
        """Runs the step several times in a row on the same inputs; returns the tensors of the last run.

        For steps whose state lives in captured tensors: nobody looks in between, so a backend may do all of it in one
        native call.
        """
        if times < 1:
            raise OpError(f"program `{self.name}` cannot be repeated {times} times; once is the least")
        self._check(inputs)
        return self._repeat(times, inputs)

    @abstractmethod
    def _run(self, inputs: Sequence[npt.NDArray[Any]]) -> list[Tensor]:
        """Runs the step on checked inputs."""

    def _repeat(self, times: int, inputs: Sequence[npt.NDArray[Any]]) -> list[Tensor]:
        """Runs the step several times on checked inputs. This default loops."""
        for _ in range(times - 1):
            self._run(inputs)
        return self._run(inputs)

    def _check(self, inputs: Sequence[npt.NDArray[Any]]) -> None:
        given = tuple((array.shape, array.dtype) for array in inputs)
        if given != self.input_specs:
            raise ShapeError(f"program `{self.name}` takes {_shown(self.input_specs)}; given was {_shown(given)}")


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
