"""The suite `gpu`: Helios beside PyTorch with CUDA, on one card."""

from collections.abc import Iterator

import attrs

from alpha_bench.result import Result
from alpha_bench.suites.models import MODELS, QUICK_MODELS, BenchModel
from alpha_core.errors import DataError
from alpha_helios.vulkan.probe import choose_device
from benchmarks.case import Case, train_cases
from benchmarks.contest import Contest
from benchmarks.entrant import alpha, pytorch_cuda

__all__ = ["gpu", "gpu_cases"]

_GPT2 = MODELS["gpt2-124m"]
_TRAINED = (
    MODELS["6x256"],
    attrs.evolve(_GPT2, config=attrs.evolve(_GPT2.config, block_size=1024), batch_size=16),
)
_TUNED = {"ALPHA_HELIOS_TUNE": "1"}
"""The rule that chooses among ways to compute a product was made without a GPU; what it measures is kept."""


def gpu(contest: Contest, only: tuple[str, ...] = (), *, quick: bool = False) -> Iterator[list[Result]]:
    """Measures one case after the other. Raises `DataError` where there is no GPU, unless it is only tried out."""
    info = choose_device()
    if info.software and not quick:
        raise DataError(
            f"the suite `gpu` needs a GPU, and `{info.name}` computes on the processor",
            hint="`--quick` tries it out with cases that are shrunk",
        )
    for case in gpu_cases(quick=quick):
        if only and not case.id.startswith(only):
            continue
        modes = ("cublas",) if case.task == "product" else ("eager", "compile", "compile, CUDA graphs")
        groups = [[pytorch_cuda(mode)] for mode in modes]
        yield contest.hold(case, alpha({} if quick else _TUNED, backend="helios"), groups)


def gpu_cases(*, quick: bool = False) -> list[Case]:
    """Returns training steps in bf16 and products of f16; shrunk ones to see that everybody runs."""
    models: tuple[BenchModel, ...] = tuple(QUICK_MODELS.values()) if quick else _TRAINED
    trained = [attrs.evolve(case, repetitions=3) for case in train_cases("gpu", ("bf16",), models)]
    return [*trained, _product(64, 2) if quick else _product(4096, 20)]


def _product(size: int, count: int) -> Case:
    """Some products of square matrices in a row, so that handing them over does not count."""
    return Case(
        suite="gpu",
        task="product",
        id=f"product-{size}-f16",
        parameters={"size": size, "count": count, "precision": "f16"},
        work={"flops": 2.0 * size**3 * count},
        expected={"element": (size / 64, size / 640)},
    )
