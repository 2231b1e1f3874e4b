"""Work that is one recorded program of ops."""

import math
from collections.abc import Callable, Sequence

from alpha_bench.case import Work
from alpha_bench.session import Session
from alpha_core.dtype import DType
from alpha_core.tensor import Tensor

__all__ = ["program_work"]

_ENOUGH_FLOPS, _ENOUGH_BYTES = 2e7, 4e6
"""A program of less repeats it: else the call from Python would be measured."""
_MOST_REPEATS = 64


def program_work(
    session: Session,
    function: Callable[[], Sequence[Tensor | None]],
    *,
    flops: float,
    bytes: float,
) -> Work:
    """Returns the work of a program that calls `function` once or, if that is little, several times.

    The same program counts its calls in a scalar; reading that waits for the device without copying what was computed.
    """
    backend = session.backend
    done, one = backend.zeros((), DType.f32), backend.full((), 1.0)
    repeats = min(_MOST_REPEATS, max(1, math.ceil(min(_ENOUGH_FLOPS / max(flops, 1), _ENOUGH_BYTES / max(bytes, 1)))))
    if session.quick:
        repeats = 1

    def step() -> list[Tensor]:
        results = [result for _ in range(repeats) for result in function() if result is not None]
        backend.add_into(done, one)
        return results

    program = backend.record(step, (), name="case")

    def run(times: int) -> None:
        program.repeat(times)
        backend.download(done)

    return Work(run=run, inner=repeats, flops=flops, bytes=bytes)
