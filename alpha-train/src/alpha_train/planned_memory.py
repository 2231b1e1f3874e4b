"""How much memory training needs on a backend that plans: the programs are recorded, and nothing is run.

Parameters, gradients and optimizer state are allocated as zeros, which a system commits only when they are touched, so
even a model that does not fit can be planned.
"""

import os
from collections.abc import Mapping

import attrs
import numpy as np

from alpha_core.backend import Backend
from alpha_core.config import RunConfig
from alpha_core.optimizer import Optimizer
from alpha_model import GPT, Activation
from alpha_train.memory import Memory
from alpha_train.trainer import Trainer

__all__ = ["PlannedMemory", "planned_memory", "process_bytes"]


@attrs.frozen(kw_only=True)
class PlannedMemory:
    """Bytes, while a backend trains."""

    backend: str
    """What it says of itself."""
    tensors: int
    """Weights, gradients and optimizer state: exact."""
    programs: Mapping[str, int]
    """What each recorded program holds beside them: exact, as the backend planned it."""
    dispatches: Mapping[str, int]
    """How many kernels a call of each program starts, where the backend counts them: exact."""
    on_host: bool
    """Whether tensors lie in the host's memory."""
    available: int | None
    """What the backend has for tensors, if that is memory of its own."""
    checkpoint: int
    """Weights and optimizer state once more, on the host, while they are written: exact."""
    process: int | None
    """The interpreter, its libraries and the programs' code, as measured here; None where the system does not tell."""

    @property
    def peak(self) -> int:
        """The most that is needed where tensors lie: a program keeps what it holds for its next call."""
        return self.tensors + sum(self.programs.values()) + (self.host if self.on_host else 0)

    @property
    def host(self) -> int:
        """What the host needs beside tensors."""
        return self.checkpoint + (self.process or 0)

    def to_json(self) -> dict[str, object]:
        figures = attrs.asdict(self)
        return {**figures, "onHost": figures.pop("on_host"), "peak": self.peak}


def planned_memory(
    config: RunConfig, activation: Activation, optimizer: Optimizer, memory: Memory, backend: Backend
) -> PlannedMemory | None:
    """Returns the plan of a backend, or None for one that makes none. `memory` has the sizes of weights and such.

    Raises `BackendError` and `UsageError` where training would.
    """
    probe = backend.record(lambda x: [backend.exp(x)], [np.zeros(1, np.float32)], name="probe")
    if probe.peak_bytes is None:
        return None
    before = process_bytes()
    trainer = Trainer(GPT(config.model, activation), backend, config.train, optimizer, initialize=False)
    allocated = process_bytes()
    programs = trainer.record(config.train.batch_size)
    recorded = process_bytes()
    process = None
    if before is not None and allocated is not None and recorded is not None:
        process = before + max(0, recorded - allocated)
    return PlannedMemory(
        backend=backend.description,
        tensors=memory.weights + memory.gradients + memory.optimizer,
        programs={name: program.peak_bytes or 0 for name, program in programs.items()},
        dispatches={name: count for name, program in programs.items() if (count := program.dispatches) is not None},
        on_host=backend.in_host_memory,
        available=backend.memory_bytes,
        checkpoint=memory.weights + memory.optimizer,
        process=process,
    )


def process_bytes() -> int | None:
    """Returns the memory that this process has in use now, or None where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
