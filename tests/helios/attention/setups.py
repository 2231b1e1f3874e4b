"""Calls of attention, exact results, and how far from them results are."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.random import RandomStream
from alpha_core.tensor import Tensor
from alpha_helios.backend import Helios
from alpha_tensor.cpu_ref.backend import CpuRef

Array = npt.NDArray[Any]


@attrs.frozen
class Setup:
    """Sizes and options of one call."""

    batch: int
    heads: int
    queries: int
    keys: int
    width: int
    soft_cap: float = 0.0
    rate: float = 0.0

    def draw(self) -> list[Array]:
        """Returns query, key, value and the gradient of the result."""
        generator = np.random.default_rng(0)
        times = (self.queries, self.keys, self.keys, self.queries)
        shapes = [(self.batch, self.heads, time, self.width) for time in times]
        return [generator.standard_normal(shape).astype(np.float32) for shape in shapes]

    def options(self, backend: Backend) -> tuple[float, float, RandomStream | None]:
        if self.rate == 0:
            return self.soft_cap, 0.0, None
        rows = backend.upload(np.arange(self.batch, dtype=np.int32) * 3 + 1)
        step = backend.upload(np.array(7, np.int32))
        return self.soft_cap, self.rate, RandomStream(seed=2**63 + 12345, stream=4_000_000_000, step=step, rows=rows)

    def run(self, backend: Backend, arrays: Sequence[Array]) -> list[Array]:
        """Returns the result, log_sum_exp and the three gradients."""
        query, key, value, grad = map(backend.upload, arrays)
        out, log_sum_exp = backend.attention(query, key, value, *self.options(backend))
        gradients = backend.attention_grad(grad, query, key, value, out, log_sum_exp, *self.options(backend))
        return [backend.download(tensor) for tensor in (out, log_sum_exp, *gradients)]

    def exact(self) -> list[Array]:
        return self.run(CpuRef(), [array.astype(np.float64) for array in self.draw()])


def stored(helios: Helios, values: Array) -> Tensor:
    """Returns a tensor that is stored in the dtype of products."""
    out = helios.activation(values.shape)
    helios._copy_into(out, helios.upload(values))
    return out
