"""What a step consists of after fusion, for tests that say what is done in one kernel."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from alpha_core.recording.launch import Launch
from alpha_core.recording.step import Recording, Step
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios

__all__ = ["launches_of"]


def launches_of(helios: Helios, function: Callable[..., Sequence[Tensor]], *inputs: npt.NDArray[Any]) -> list[Launch]:
    """Returns the launches of a step that is recorded and not run."""
    tensors = [helios.upload(array) for array in inputs]
    recording = helios.recorder = Recording()
    try:
        outputs = function(*tensors)
    finally:
        helios.recorder = None
    step = Step.of(recording.launches, outputs, tensors)
    return [*step.before, *step.body]
