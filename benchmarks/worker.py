"""The driver's side of a worker: a process that is asked for one thing at a time."""

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from alpha_core.errors import AlphaError
from benchmarks.case import Case
from benchmarks.entrant import Entrant

__all__ = ["ROOT", "Measurement", "Worker", "WorkerError", "clean_environ"]

ROOT = Path(__file__).resolve().parent.parent
_PATIENCE = 3600.0
"""Seconds that one request may take; a compiler or a big model needs minutes."""
_STEERING = (
    "ALPHA_", "ATEN_", "BLIS_", "DNNL_", "GOMP_", "KMP_", "MALLOC_", "MKL_", "NUMBA_", "NVPL_", "OMP_", "ONEDNN_",
    "OPENBLAS_", "PYTHON", "PYTORCH_", "RAYON_", "TOKENIZERS_", "TORCH",
)  # fmt: skip
_STEERING_TINYGRAD = frozenset({"BEAM", "CC", "DEBUG", "DEV", "JIT", "NOOPT", "NUM_CPU_THREADS"})


class WorkerError(AlphaError):
    """A worker that failed, died or fell silent."""


@attrs.frozen
class Measurement:
    """The repetitions of one round."""

    samples: tuple[float, ...]
    """Seconds."""
    facts: Mapping[str, Any]
    memory_peak_bytes: int | None
    """Of the whole process so far."""


def clean_environ() -> dict[str, str]:
    """Returns the environment without anything that steers a library that is measured."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_STEERING) and name not in _STEERING_TINYGRAD
    }


class Worker:
    """A running worker; leave the `with` to end it."""

    def __init__(self, entrant: Entrant, command: list[str], environ: Mapping[str, str] | None = None) -> None:
        """`command` starts the process, in the root of the checkout. `environ` comes before the entrant's own."""
        self.entrant = entrant
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**clean_environ(), **(environ or {}), **entrant.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
        )
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def prepare(self, case: Case) -> dict[str, Any]:
        """Has the work made ready and warmed up; returns the versions that will do it."""
        answer = self._ask({"do": "prepare", "case": case.told, "settings": dict(self.entrant.settings)})
        versions: dict[str, Any] = answer["versions"]
        return versions

    def measure(self, repetitions: int, seconds: float) -> Measurement:
        """Has the work done at least so often and at least so long."""
        answer = self._ask({"do": "measure", "repetitions": repetitions, "seconds": seconds})
        return Measurement(tuple(answer["samples"]), answer["facts"], answer["memory_peak_bytes"])

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Raises `WorkerError` with the reason if no answer comes."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise self._death() from None
        answer: dict[str, Any] = json.loads(self._line())
        if "error" in answer:
            raise WorkerError(f"{self.entrant.name}: {answer['error']}")
        return answer

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + _PATIENCE
        while b"\n" not in self._received:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise WorkerError(f"{self.entrant.name}: no answer in {_PATIENCE:.0f} s")
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                raise self._death()
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _death(self) -> WorkerError:
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return WorkerError(f"{self.entrant.name}: its process ended ({status}): {lines[-1] if lines else 'no message'}")
