"""The backend `cpu`: programs in native code, on as many threads as the machine has cores."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from alpha_core.dtype import DType
from alpha_core.errors import BackendError
from alpha_core.file_cache import FileCache
from alpha_core.knob import Knob, check_knob
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.step import Recording, Step
from alpha_core.recording.storage import buffer_of
from alpha_core.tensor import Tensor
from alpha_core.trace import Span
from alpha_tensor.cpu.jit import Jit, Progress
from alpha_tensor.cpu.kernels.probe import flops_of_round, probe
from alpha_tensor.cpu.ops import CpuOps
from alpha_tensor.cpu.program import CpuProgram
from alpha_tensor.cpu.split import Split, choose_split
from alpha_tensor.cpu.target import Target, host_target
from alpha_tensor.cpu.team import Team, default_threads, processors

__all__ = ["Cpu"]

_MOST_LANES = 8
"""More would cost more memory for sums of gradients than threads that share a lane cost time."""
_CHUNK_TOKENS, _LARGE_CHUNK_TOKENS = 256, 512
_LARGE_SUMS = 32 << 20
"""Bytes of gradients above which a chunk is large: each chunk reads and writes all of them, from memory."""


class Cpu(CpuOps):
    """Computes in f32, and products also from bf16 operands where the processor has instructions for that.

    An op called by itself runs on the calling thread. A recorded program runs on all threads; see `kernels.walk`.
    """

    name = "cpu"
    compute_dtypes = (DType.f32,)
    in_host_memory = True

    def __init__(
        self,
        target: Target | None = None,
        *,
        threads: int | None = None,
        cache: FileCache | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Takes this machine's processor and threads unless told otherwise; `progress` hears of long compilations."""
        super().__init__()
        self.target = target or host_target()
        self.threads = threads or default_threads()
        self.jit = Jit(self.target, cache or FileCache("kernels"), progress, processors=self.threads)
        self.lanes = min(self.threads, _MOST_LANES)
        self.chunk = 0
        self.matmul_dtype = DType.f32
        self.traces: list[Callable[[], Sequence[Span]]] | None = None
        """What reads the times of each run, later: that takes as long as a small step."""
        self.team = Team(self.jit, self.threads)
        self._processors = processors()

    @property
    def helping(self) -> bool:
        """Whether a thread that is done helps another; with more threads than processors it would be waited for."""
        return self.threads <= self._processors

    @property
    def description(self) -> str:
        threads = f"{self.threads} thread" + ("s" if self.threads > 1 else "")
        return f"cpu ({self.target.level}, {threads})"

    def record(
        self,
        function: Callable[..., Sequence[Tensor]],
        example_inputs: Sequence[npt.NDArray[Any]],
        *,
        name: str,
        additive: bool = False,
    ) -> CpuProgram:
        split = self._split(example_inputs, self.chunk or _CHUNK_TOKENS) if additive else None
        step, inputs = self._recorded(function, example_inputs, split)
        if split is not None and not self.chunk and sum(one.nbytes for one in step.changed) > _LARGE_SUMS:
            split = self._split(example_inputs, _LARGE_CHUNK_TOKENS)
            step, inputs = self._recorded(function, example_inputs, split)
        if split is not None and not step.is_additive:
            # It looks at what it adds to, so only the whole batch gives the right answer.
            split = None
            step, inputs = self._recorded(function, example_inputs, split)
        return CpuProgram(self, name, example_inputs, step, inputs, split, additive=additive)

    def set_matmul_dtype(self, dtype: DType) -> None:
        if dtype is DType.bf16 and not self.target.has_bf16:
            raise BackendError(
                f"backend `cpu` has no bf16 products here: the processor (used as `{self.target.level}`) has no"
                " instructions for them",
                hint="use `--precision=f32`, which is faster than bf16 without them",
            )
        if dtype not in (DType.f32, DType.bf16):
            raise BackendError(f"backend `cpu` multiplies in f32 or bf16, not in {dtype.value}")
        self.matmul_dtype = dtype

    @property
    def knobs(self) -> tuple[Knob, ...]:
        powers = tuple(1 << exponent for exponent in range(11))
        return (
            Knob("threads", "Threads that work on a program.", self.threads, powers, changes_results=False),
            Knob(
                "lanes",
                "Sums of gradients that are kept side by side, so that so many chunks are worked on at once.",
                self.lanes,
                powers[:7],
                changes_results=True,
            ),
            Knob(
                "chunk",
                "Tokens of a batch that are worked on in one go; 0 goes by the size of the gradients.",
                self.chunk,
                (0, *(64 * power for power in powers[:6])),
                changes_results=True,
            ),
        )

    def set_knob(self, name: str, value: int) -> None:
        check_knob(self.knobs, name, value, self.name)
        setattr(self, name, value)
        if name == "threads":
            self.team.close()
            self.team = Team(self.jit, value)

    def peak_flops(self, dtype: DType) -> float | None:
        """The best of five runs on all threads: fused products and sums on registers, or on tiles for bf16."""
        if dtype is DType.f32:
            unit = "fma"
        elif dtype is DType.bf16 and self.target.has_bf16:
            unit = "tile" if self.target.has_tiles else "dot"
        else:
            return None
        threads, lanes, rounds = self.threads, self.target.lanes, 200_000
        out = self.full((threads, lanes), 1e-3)

        def step() -> list[Tensor]:
            self.launch(KernelSpec.of(probe, unit=unit), updates=[out], values=[rounds])
            return []

        program = self.record(step, [], name="probe")
        times = []
        for _ in range(6):  # the first one compiles
            start = time.perf_counter()
            program()
            times.append(time.perf_counter() - start)
        return threads * rounds * flops_of_round(lanes, unit) / min(times[1:])

    def start_trace(self) -> None:
        self.traces = []

    def stop_trace(self) -> list[Span]:
        traces, self.traces = self.traces or [], None
        return [span for read in traces for span in read()]

    def close(self) -> None:
        self.team.close()

    def _split(self, examples: Sequence[npt.NDArray[Any]], chunk: int) -> Split | None:
        return choose_split([array.shape for array in examples], self.lanes, chunk)

    def _recorded(
        self, function: Callable[..., Sequence[Tensor]], examples: Sequence[npt.NDArray[Any]], split: Split | None
    ) -> tuple[Step, list[Tensor]]:
        """Records the step for one chunk of a split, whose outputs are added up, or for the whole batch."""
        totals: list[Tensor] = []
        recording = self.recorder = Recording()
        try:
            shapes = [array.shape if split is None else (split.rows, *array.shape[1:]) for array in examples]
            inputs = [self.empty(shape, DType.of(array)) for shape, array in zip(shapes, examples, strict=True)]
            outputs = list(function(*inputs))
            if split is not None:
                for output in outputs:
                    self.recorder = None
                    totals.append(self.zeros(output.shape, output.dtype))
                    self.recorder = recording
                    self.add_into(totals[-1], output)
            else:
                totals = [self.contiguous(output) for output in outputs]
        finally:
            self.recorder = None
        step = Step.of(recording.launches, totals, inputs)
        for buffer in map(buffer_of, totals):
            if buffer.memory is None:  # it outlives the call, so it lies outside of the arena
                buffer.memory = self.allocate(buffer.nbytes).memory
        return step, inputs
