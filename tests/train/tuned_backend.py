"""A reference backend with knobs and kernel spans, as a fast one has them."""

import time
from collections.abc import Callable
from typing import Any

from alpha_core.knob import Knob
from alpha_core.tensor import Tensor
from alpha_core.trace import Span
from alpha_tensor import CpuRef

__all__ = ["TunedRef"]


class TunedRef(CpuRef):
    """Has `lanes`, which change results, and `threads`, which do not; notes its matrix products."""

    name = "cpu_ref"

    def __init__(self) -> None:
        self.values = {"lanes": 2, "threads": 1}
        self.spans: list[Span] | None = None
        self.traces = 0

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return (
            Knob("lanes", "Parts of a batch.", self.values["lanes"], (1, 2, 4), changes_results=True),
            Knob("threads", "Threads.", self.values["threads"], (1, 2), changes_results=False),
        )

    def set_knob(self, name: str, value: int) -> None:
        super().set_knob(name, value)
        self.values[name] = value

    def start_trace(self) -> None:
        self.spans = []
        self.traces += 1

    def stop_trace(self) -> list[Span]:
        spans, self.spans = self.spans, None
        return spans or []

    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        return self._timed("matmul", lambda: super(TunedRef, self).matmul(a, b, transpose_a, transpose_b), a, b)

    def _timed(self, name: str, function: Callable[[], Tensor], *operands: Tensor) -> Tensor:
        if self.spans is None:
            return function()
        start = time.perf_counter()
        result: Any = function()
        moved = result.nbytes + sum(operand.nbytes for operand in operands)
        self.spans.append(Span(name, "thread 0", start, time.perf_counter() - start, 2 * result.size, moved))
        return result
