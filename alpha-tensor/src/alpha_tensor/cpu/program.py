"""A recorded step in native code: its call tables, its memory, and running it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.program import Program
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.memory_plan import plan_memory
from alpha_core.recording.step import Step
from alpha_core.recording.storage import ALIGNMENT, Buffer, buffer_of, view_of
from alpha_core.tensor import Tensor
from alpha_core.trace import Span
from alpha_tensor.cpu.engine import argument_table
from alpha_tensor.cpu.kernels.walk import CALL_SLOTS, INPUT, JOB, LANE, SPAN_SLOTS, lane_sum, zero
from alpha_tensor.cpu.memory import allocate, base_address
from alpha_tensor.cpu.split import Split

if TYPE_CHECKING:
    from alpha_tensor.cpu.backend import Cpu

__all__ = ["CpuProgram"]

Table = npt.NDArray[np.int64]
Address = Callable[[Tensor], int]


@attrs.frozen(eq=False)
class _Calls:
    """A list of kernel calls, as `walk` reads it."""

    launches: Sequence[Launch]
    table: Table
    arguments: Sequence[Table]  # the table holds their addresses

    @property
    def count(self) -> int:
        return len(self.arguments)


class CpuProgram(Program):
    """Runs a step with one native call. Shared by all lanes: what is computed `before` them. Each lane's own: its
    inputs, its arena, and, but for the first, its sums, which are added to the real ones `after`."""

    def __init__(
        self,
        backend: "Cpu",
        name: str,
        example_inputs: Sequence[npt.NDArray[Any]],
        step: Step,
        inputs: Sequence[Tensor],
        split: Split | None,
        *,
        additive: bool,
    ) -> None:
        """Plans memory and fills the tables. `split` None runs the step on the whole batch, on one lane."""
        super().__init__(name, example_inputs, additive=additive)
        self._backend, self._step, self._inputs = backend, step, tuple(inputs)
        self._is_split = split is not None
        self._split = split or Split(1, (1,))
        self._sums = step.changed if split is not None else []
        ends = [0, *accumulate(_aligned(buffer.nbytes) for buffer in self._sums)]
        self._sum_offsets = dict(zip(map(id, self._sums), ends, strict=False))
        self._sum_bytes = ends[-1]
        self._before_plan = plan_memory(step.before, reuse=False)
        self._body_plan = plan_memory(
            [_without(launch, self._before_plan.offsets) for launch in step.body], [buffer_of(one) for one in inputs]
        )
        self._memory: _Memory | None = None
        self._lock = threading.Lock()

    @property
    def peak_bytes(self) -> int:
        """Arenas and sums of all lanes, what is shared by them, and outputs."""
        lanes = self._split.lanes
        results = sum(buffer_of(tensor).nbytes for tensor in self._step.outputs)
        return self._before_plan.nbytes + lanes * self._body_plan.nbytes + (lanes - 1) * self._sum_bytes + results

    def _run(self, inputs: Sequence[npt.NDArray[Any]]) -> list[Tensor]:
        return self._execute(inputs, 1)

    def _repeat(self, times: int, inputs: Sequence[npt.NDArray[Any]]) -> list[Tensor]:
        if self._is_split:
            return super()._repeat(times, inputs)
        return self._execute(inputs, times)

    def _execute(self, inputs: Sequence[npt.NDArray[Any]], times: int) -> list[Tensor]:
        with self._lock:  # the tables belong to one call at a time
            return self._execute_alone(inputs, times)

    def _execute_alone(self, inputs: Sequence[npt.NDArray[Any]], times: int) -> list[Tensor]:
        memory = self._memory or self._allocate()
        arrays = [np.ascontiguousarray(array) for array in inputs]
        for lane in memory.inputs:
            lane[:, INPUT.index("address")] = [array.ctypes.data for array in arrays]
        if not self._is_split:
            memory.lanes[0, LANE.index("chunks")] = times
        traces = self._backend.traces
        tables = memory.spans(times) if traces is not None else []
        memory.job[JOB.index("threads")] = self._backend.threads
        memory.job[JOB.index("helping")] = self._backend.helping
        self._backend.team.run(memory.job)
        if traces is not None:
            offset = time.perf_counter() - time.clock_gettime(time.CLOCK_MONOTONIC)
            traces.append(lambda: _spans(tables, offset))
            memory.forget_spans()
        return list(self._step.outputs)

    def _allocate(self) -> "_Memory":
        """Makes the memory and the tables, on the first call: until then a program costs nothing but its plan."""
        step, split = self._step, self._split
        shared = allocate(self._before_plan.nbytes)
        arenas = [allocate(self._body_plan.nbytes) for _ in range(split.lanes)]
        sums = allocate((split.lanes - 1) * self._sum_bytes)
        after = [self._lane_sum(buffer, sums) for buffer in self._sums if split.lanes > 1]
        cleared = [sums, *(buffer_of(tensor) for tensor in step.outputs if self._is_split)]
        zeros = [Launch(KernelSpec.of(zero), values=(base_address(one), one.nbytes)) for one in cleared if one.nbytes]
        launches = [*zeros, *step.before, *step.body, *after]
        self._backend.jit.prepare([launch.spec for launch in launches])

        def address(lane: int) -> Address:
            def of(tensor: Tensor) -> int:
                view = view_of(tensor)
                key = id(view.buffer)
                if lane > 0 and key in self._sum_offsets:
                    base = base_address(sums) + (lane - 1) * self._sum_bytes + self._sum_offsets[key]
                elif view.buffer.memory is not None:
                    base = base_address(view.buffer)
                elif key in self._before_plan.offsets:
                    base = base_address(shared) + self._before_plan.offsets[key]
                else:
                    base = base_address(arenas[lane]) + self._body_plan.offsets[key]
                return base + view.offset * tensor.dtype.itemsize

            return of

        before = self._calls([*zeros, *step.before], address(0))
        bodies = [self._calls(step.body, address(lane)) for lane in range(split.lanes)]
        inputs = [self._input_table(address(lane)) for lane in range(split.lanes)]
        memory = _Memory(before, bodies, self._calls(after, address(0)), inputs, split, [shared, *arenas, sums])
        self._memory = memory
        return memory

    def _lane_sum(self, buffer: Buffer, sums: Buffer) -> Launch:
        """Adds the sums of the other lanes to those of the first."""
        first = base_address(sums) + self._sum_offsets[id(buffer)]
        values = (base_address(buffer), first, buffer.nbytes // 4, self._split.lanes - 1, self._sum_bytes)
        return Launch(KernelSpec.of(lane_sum), values=values)

    def _calls(self, launches: Sequence[Launch], address: Address) -> _Calls:
        arguments = [argument_table(launch, address) for launch in launches]
        table = np.zeros((len(launches), CALL_SLOTS), np.int64)
        for row, launch, slots in zip(table, launches, arguments, strict=True):
            row[:] = self._backend.jit.address(launch.spec), slots.ctypes.data
        return _Calls(launches, table, arguments)

    def _input_table(self, address: Address) -> Table:
        table = np.zeros((max(1, len(self._inputs)), len(INPUT)), np.int64)[: len(self._inputs)]
        for row, tensor in zip(table, self._inputs, strict=True):
            row[INPUT.index("lane_address")] = address(tensor)
            row[INPUT.index("chunk_bytes")] = tensor.nbytes
            row[INPUT.index("stride")] = tensor.nbytes if self._is_split else 0
        return table


class _Memory:
    """The tables of a program, and what they point to."""

    def __init__(
        self, before: _Calls, bodies: list[_Calls], after: _Calls, inputs: list[Table], split: Split, kept: list[Buffer]
    ) -> None:
        self.before, self.bodies, self.after, self.inputs, self._split, self._kept = (
            *(before, bodies, after, inputs),
            *(split, kept),
        )
        words = 2 * ALIGNMENT // 8  # on cache lines of their own
        self._barriers = np.zeros((len(bodies) + 1, words), np.int64)
        self._help = np.zeros((len(bodies), words), np.int64)
        self.lanes = np.zeros((len(bodies), len(LANE)), np.int64)
        first = [0, *accumulate(split.chunks)]
        for index, (calls, table) in enumerate(zip(bodies, inputs, strict=True)):
            row = {
                "calls": calls.table.ctypes.data,
                "call_count": calls.count,
                "first_chunk": first[index],
                "chunks": split.chunks[index],
                "inputs": table.ctypes.data,
                "input_count": len(table),
                "barrier": self._barriers[index].ctypes.data,
                "help": self._help[index].ctypes.data,
                "spans": 0,
            }
            self.lanes[index] = [row[name] for name in LANE]
        job = {
            "before": before.table.ctypes.data,
            "before_count": before.count,
            "before_spans": 0,
            "after": after.table.ctypes.data,
            "after_count": after.count,
            "after_spans": 0,
            "lanes": self.lanes.ctypes.data,
            "lane_count": len(bodies),
            "barrier": self._barriers[-1].ctypes.data,
            "threads": 1,
            "helping": 0,
        }
        self.job = np.array([job[name] for name in JOB], np.int64)

    def spans(self, times: int) -> list[tuple[str, _Calls, Table]]:
        """Makes room for the times of all calls of the next run."""
        found = []
        for track, calls, slot in (("shared", self.before, "before_spans"), ("shared", self.after, "after_spans")):
            table = np.zeros((calls.count, SPAN_SLOTS), np.int64)
            self.job[JOB.index(slot)] = table.ctypes.data if calls.count else 0
            found.append((track, calls, table))
        for index, calls in enumerate(self.bodies):
            chunks = int(self.lanes[index, LANE.index("chunks")])
            table = np.zeros((chunks * calls.count, SPAN_SLOTS), np.int64)
            self.lanes[index, LANE.index("spans")] = table.ctypes.data if calls.count else 0
            found.append((f"lane {index}", calls, table))
        return found

    def forget_spans(self) -> None:
        self.job[[JOB.index("before_spans"), JOB.index("after_spans")]] = 0
        self.lanes[:, LANE.index("spans")] = 0


def _spans(tables: Sequence[tuple[str, _Calls, Table]], offset: float) -> list[Span]:
    """Reads the times of a run; `offset` seconds lie between its clock and `time.perf_counter`."""
    found = []
    for track, calls, table in tables:
        for index, (start, stop) in enumerate(table.reshape(-1, SPAN_SLOTS)):
            launch = calls.launches[index % max(1, calls.count)]
            found.append(
                Span(
                    name=launch.spec.name,
                    track=track,
                    start=float(start) * 1e-9 + offset,
                    duration=float(stop - start) * 1e-9,
                    flops=int(launch.flops),
                    bytes=launch.nbytes,
                )
            )
    return found


def _without(launch: Launch, placed: Mapping[int, int]) -> Launch:
    """Drops reads of buffers that have a place elsewhere, which need none in the arena."""
    return attrs.evolve(launch, reads=tuple(one for one in launch.reads if id(buffer_of(one)) not in placed))


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
