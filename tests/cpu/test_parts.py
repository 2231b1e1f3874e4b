"""How many threads share a launch changes no bit of a result."""

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.cpu.backends import InParts

from alpha_core.dtype import DType
from alpha_core.tensor import Tensor

Step = Callable[..., Tensor]

STEPS: dict[str, Step] = {
    "add": lambda b, x, y: b.add(x, y),
    "bias": lambda b, x, y: b.add(x, b.slice(y, 0, 0, 1)),
    "column": lambda b, x, y: b.mul(x, b.slice(y, 1, 0, 1)),
    "cast": lambda b, x, y: b.cast(x, DType.bf16),
    "transposed": lambda b, x, y: b.transpose(x, (1, 0)),
    "joined": lambda b, x, y: b.cat([x, y], 1),
    "stacked": lambda b, x, y: b.cat([x, y], 0),
    "placed": lambda b, x, y: b.slice_grad(x, 1, 3, x.shape[1] + 11),
    "filled": lambda b, x, y: b.full((57, 91), 2.5),
    "rows": lambda b, x, y: b.sum(x, 1),
    "columns": lambda b, x, y: b.sum(x, 0),
    "all": lambda b, x, y: b.sum(x),
    "largest": lambda b, x, y: b.max(x),
    "mean": lambda b, x, y: b.mean(x, 0),
    "finite": lambda b, x, y: b.all_finite(x),
    "norm": lambda b, x, y: b.global_norm([x, y] * 10),
}


@pytest.mark.parametrize("shape", [(3, 5), (1300, 97), (7, 20011)], ids=str)
@pytest.mark.parametrize("name", STEPS)
def test_results_do_not_depend_on_the_parts(
    name: str, shape: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape).astype(np.float32) for _ in range(2)]
    results = []
    for parts in (1, 2, 3, 5):
        backend = InParts(tmp_path_factory.getbasetemp() / "kernels", parts)
        out = STEPS[name](backend, *map(backend.upload, arrays))
        results.append(backend.download(out).tobytes())
    assert len(set(results)) == 1
