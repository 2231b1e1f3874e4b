"""Checking gradients against finite differences."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_autograd.tape import Tape
from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import GradientError
from alpha_core.tensor import Tensor

__all__ = ["check_grads"]


def check_grads(
    function: Callable[..., Tensor],
    inputs: Sequence[npt.NDArray[Any]],
    backend: Backend,
    *,
    directions: int = 2,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> list[float]:
    """Compares gradients with central differences along random directions, in float64, and returns the relative errors.

    `function(backend, *tensors)` returns a tensor, of which a random projection is differentiated for each input, one
    input at a time. The error is |analytic - numeric| / max(|analytic|, |numeric|, typical), where `typical` is the
    root mean square slope over all directions of that length, |gradient| * |direction| / sqrt(size). Raises
    `GradientError` above `tolerance`.
    """
    if DType.f64 not in backend.compute_dtypes:
        raise GradientError(f"`{backend.name}` does not compute in f64, which finite differences need")
    generator = np.random.default_rng(seed)
    arrays = [np.asarray(array, dtype=np.float64) for array in inputs]
    projection = generator.standard_normal(function(backend, *map(backend.upload, arrays)).shape)

    def value(changed: Sequence[npt.NDArray[Any]]) -> float:
        return float((backend.download(function(backend, *map(backend.upload, changed))) * projection).sum())

    tape = Tape(backend)
    tensors = [backend.upload(array) for array in arrays]
    tape.watch(*tensors)
    output = function(tape, *tensors)
    gradients = tape.vector_jacobian_product(output, backend.upload(projection), tensors)
    errors = []
    for index, gradient in enumerate(map(backend.download, gradients)):
        worst = 0.0
        for _ in range(directions):
            direction = generator.standard_normal(arrays[index].shape)
            shifted = [
                value([a + sign * step * direction if i == index else a for i, a in enumerate(arrays)])
                for sign in (1.0, -1.0)
            ]
            numeric, analytic = (shifted[0] - shifted[1]) / (2 * step), float((gradient * direction).sum())
            typical = float(np.linalg.norm(gradient) * np.linalg.norm(direction)) / max(1, direction.size) ** 0.5
            worst = max(worst, abs(analytic - numeric) / max(abs(analytic), abs(numeric), typical, 1e-300))
        if not worst <= tolerance:
            raise GradientError(
                f"the gradient of input {index} is off by {worst:.1e} (relative; at most {tolerance:.0e})"
            )
        errors.append(worst)
    return errors
