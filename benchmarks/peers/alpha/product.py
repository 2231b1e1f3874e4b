"""Products of square matrices whose elements lie in memory in 16 bits, as a recorded program."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from benchmarks.peers.alpha.setup import open_backend
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]

_WARM_UP = 3


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `backend`. Operands are results of products, which a backend stores as it stores activations."""
    facts: dict[str, Any] = {}
    backend = open_backend(settings["backend"], facts)
    backend.set_matmul_dtype(DType(case["precision"]))
    size, count = case["size"], case["count"]
    one = backend.upload(np.eye(size, dtype=np.float32))
    a, b = (backend.matmul(backend.full((size, size), 1 / 8), one) for _ in range(2))

    def products() -> Sequence[Tensor]:
        return [backend.matmul(a, b) for _ in range(count)]

    program = backend.record(products, (), name="products")

    def run() -> None:
        results = program()
        corner = backend.download(backend.slice(backend.slice(results[-1], 0, 0, 1), 1, 0, 1))
        facts["element"] = float(corner[0, 0])

    for _ in range(_WARM_UP):
        run()
    return Prepared(run, facts)
