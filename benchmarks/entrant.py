"""Who takes part: a toolkit with all of its settings."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

__all__ = [
    "AVX2_ONLY",
    "READING",
    "Entrant",
    "alpha",
    "hugging_face",
    "pytorch",
    "pytorch_cuda",
    "reading",
    "thread_settings",
    "tiktoken",
    "tinygrad",
]

AVX2_ONLY = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""What keeps PyTorch's own kernels, MKL and oneDNN from using more."""

READING = "reading alone"
"""No peer, but a bound."""


@attrs.frozen(kw_only=True)
class Entrant:
    """A toolkit and how it is set."""

    name: str
    module: str
    """Its worker, below `benchmarks.peers`."""
    environment: str | None = None
    """The peer's environment that the worker runs in; None for the one that Alpha is in."""
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    environ: Mapping[str, str] = attrs.field(factory=dict)
    """Variables that are set for the worker."""

    def describe(self) -> str:
        """Returns its settings in words."""
        parts = [f"{name} {value}" for name, value in self.settings.items()]
        return ", ".join([*parts, *(f"`{name}={value}`" for name, value in self.environ.items())])


def thread_settings() -> list[int]:
    """Returns the numbers of threads that peers are tried with: one, half of the cores, all."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return sorted({1, max(1, cores // 2), cores})


def alpha(environ: Mapping[str, str] | None = None, **settings: Any) -> Entrant:
    """Alpha with the threads that it takes by itself."""
    return Entrant(name="alpha", module="alpha", settings=settings, environ=environ or {})


def pytorch(
    modes: Sequence[str], *, name: str = "pytorch", environ: Mapping[str, str] | None = None, **settings: Any
) -> list[Entrant]:
    """PyTorch in some modes, with each number of threads."""
    return [
        Entrant(
            name=name,
            module="pytorch",
            environment="pytorch",
            settings={"mode": mode, "threads": threads, **settings},
            environ=environ or {},
        )
        for mode in modes
        for threads in thread_settings()
    ]


def pytorch_cuda(mode: str) -> Entrant:
    """PyTorch on an NVIDIA GPU, with all threads for what the host does."""
    settings = {"mode": mode, "device": "cuda", "threads": thread_settings()[-1]}
    return Entrant(name=f"pytorch {mode}", module="pytorch", environment="pytorch", settings=settings)


def tinygrad() -> Entrant:
    """tinygrad on its CPU device with all cores, without its search for faster kernels (`BEAM`)."""
    return Entrant(name="tinygrad", module="tinygrad", environment="tinygrad", environ={"DEV": "CPU"})


def reading() -> Entrant:
    """The bound of decoding: reading the weights' bytes and doing nothing with them."""
    return Entrant(name=READING, module="reading")


def hugging_face() -> list[Entrant]:
    """Hugging Face's `tokenizers` with each number of threads."""
    return [
        Entrant(
            name="tokenizers",
            module="tokenizers.hugging_face",
            environment="tokenizers",
            settings={"threads": threads},
            environ={
                "RAYON_NUM_THREADS": str(threads),
                "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
            },
        )
        for threads in thread_settings()
    ]


def tiktoken() -> list[Entrant]:
    """OpenAI's `tiktoken` with each number of threads."""
    return [
        Entrant(name="tiktoken", module="tokenizers.openai", environment="tokenizers", settings={"threads": threads})
        for threads in thread_settings()
    ]
