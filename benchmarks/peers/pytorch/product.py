"""Products of square matrices in 16 bits, by cuBLAS."""

import torch

from benchmarks.peers.pytorch.setup import configure, device_of
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]

_WARM_UP = 3


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `threads`, `device`. PyTorch's defaults: sums may be rounded to 16 bits on the way."""
    configure(settings)
    device, facts = device_of(settings)
    dtype = {"f16": torch.float16, "bf16": torch.bfloat16}[case["precision"]]
    a, b = (torch.full((case["size"], case["size"]), 1 / 8, dtype=dtype, device=device) for _ in range(2))
    results = [torch.empty_like(a) for _ in range(case["count"])]

    def run() -> None:
        for result in results:
            torch.mm(a, b, out=result)
        facts["element"] = results[-1][0, 0].item()

    for _ in range(_WARM_UP):
        run()
    return Prepared(run, facts)
