"""A recorded step as one command list: its memory is planned, its barriers are derived, Python runs none of it."""

import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from alpha_core.program import Program
from alpha_core.recording.launch import Launch
from alpha_core.recording.memory_plan import plan_memory
from alpha_core.recording.step import Step
from alpha_core.recording.storage import buffer_of
from alpha_core.tensor import Tensor
from alpha_core.trace import Span
from alpha_helios.dispatch import Dispatcher

if TYPE_CHECKING:
    from alpha_helios.backend import Helios
    from alpha_helios.vulkan.commands import CommandList
    from alpha_helios.vulkan.memory import Allocation
    from alpha_helios.vulkan.timestamps import Timestamps

__all__ = ["HeliosProgram"]


class HeliosProgram(Program):
    """Runs a step by handing its command list to the device again; inputs are copied to where the list reads them."""

    def __init__(
        self,
        backend: "Helios",
        name: str,
        example_inputs: Sequence[npt.NDArray[Any]],
        step: Step,
        inputs: Sequence[Tensor],
        *,
        additive: bool,
    ) -> None:
        """Plans memory; the device is asked for it, and for kernels, at the first call."""
        super().__init__(name, example_inputs, additive=additive)
        self._backend, self._inputs = backend, tuple(inputs)
        self._launches: list[Launch] = [*step.before, *step.body]
        self._outputs = step.outputs
        self.barriers = 0
        """How many barriers a call has, known after the first one."""
        self._results = list({id(buffer): buffer for buffer in map(buffer_of, self._outputs)}.values())
        self._plan = plan_memory(self._launches, [buffer_of(tensor) for tensor in inputs], apart=self._results)
        self._arena: Allocation | None = None
        self._commands: CommandList | None = None
        self._lock = threading.Lock()

    @property
    def peak_bytes(self) -> int:
        """The arena of intermediates and inputs, and what is returned."""
        return self._plan.nbytes + sum(buffer.nbytes for buffer in self._results)

    @property
    def dispatches(self) -> int:
        """How many kernels a call runs."""
        return len(self._launches)

    def _run(self, inputs: Sequence[npt.NDArray[Any]]) -> list[Tensor]:
        return self._repeat(1, inputs)

    def _repeat(self, times: int, inputs: Sequence[npt.NDArray[Any]]) -> list[Tensor]:
        with self._lock:  # the command list and the arena belong to one call at a time
            device, what = self._backend.device, f"program `{self.name}`"
            self._backend.queue.flush()
            if self._commands is None:
                self._allocate()
                self._commands, blocks = self._recorded(None)
                weakref.finalize(self, _release, self._commands, blocks).atexit = False
            for tensor, array in zip(self._inputs, inputs, strict=True):
                place, offset = self._place(tensor)
                device.staging.upload(place, np.ascontiguousarray(array), offset, what=what)
            tracer = self._backend.tracer
            for _ in range(times):
                if tracer is None:
                    device.submit(self._commands, what)
                else:
                    tracer.extend(self._traced())
        return list(self._outputs)

    def _place(self, tensor: Tensor) -> "tuple[Allocation, int]":
        """Returns where a tensor's buffer is: a place in memory, and the offset in it."""
        buffer = buffer_of(tensor)
        if buffer.memory is not None:
            return buffer.memory, 0
        assert self._arena is not None
        return self._arena, self._plan.offsets[id(buffer)]

    def _allocate(self) -> None:
        """Takes memory on the device for intermediates, and for outputs, which outlive the call."""
        memory = self._backend.device.memory
        self._arena = memory.allocate(self._plan.nbytes, f"the intermediates of program `{self.name}`")
        weakref.finalize(self, self._arena.free).atexit = False
        for buffer in self._results:
            if buffer.memory is None:
                self._backend.give_memory(buffer)

    def _recorded(self, timestamps: "Timestamps | None") -> "tuple[CommandList, list[Allocation]]":
        device, compiler = self._backend.device, self._backend.compiler
        compiler.prepare([launch.spec for launch in self._launches])

        def base(tensor: Tensor) -> int:
            place, offset = self._place(tensor)
            return place.address + offset

        commands = device.record(f"program `{self.name}`", reusable=True)
        dispatcher = Dispatcher(device, compiler, commands, base)
        if timestamps is not None:
            commands.reset_timestamps(timestamps)
        for index, launch in enumerate(self._launches):
            if timestamps is not None:
                commands.barrier()
                commands.timestamp(timestamps, 2 * index)
            dispatcher.add(launch)
            if timestamps is not None:
                commands.timestamp(timestamps, 2 * index + 1)
        if timestamps is None:
            self.barriers = dispatcher.barriers
        commands.end()
        return commands, dispatcher.blocks

    def _traced(self) -> list[Span]:
        """Runs the step once with the time of each kernel, which do not overlap then."""
        device = self._backend.device
        timestamps = device.timestamps(2 * len(self._launches))
        commands, blocks = self._recorded(timestamps)
        device.wait(device.submit(commands), commands.name)
        moments = [device.seconds(ticks) for ticks in timestamps.read()]
        timestamps.close()
        _release(commands, blocks)
        return [
            Span(
                name=launch.spec.name,
                track="device",
                start=start,
                duration=stop - start,
                flops=int(launch.flops),
                bytes=launch.nbytes,
            )
            for launch, start, stop in zip(self._launches, moments[::2], moments[1::2], strict=True)
        ]


def _release(commands: "CommandList", blocks: "Sequence[Allocation]") -> None:
    commands.close()
    for block in blocks:
        block.free()
