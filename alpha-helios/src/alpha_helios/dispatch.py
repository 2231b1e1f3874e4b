"""Putting a launch into a command list: its barrier, its arguments, its dispatch."""

from collections.abc import Callable

import numpy as np

from alpha_core.recording.launch import Launch
from alpha_core.recording.storage import buffer_of, stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.compiler import Compiler
from alpha_helios.hazards import Hazards, Span
from alpha_helios.vulkan.commands import CommandList
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.memory import Allocation

__all__ = ["Dispatcher", "address_of", "base_address"]

Base = Callable[[Tensor], int]
"""The address where the buffer of a tensor begins."""


class Dispatcher:
    """Adds launches to one command list, and barriers where they have to wait for each other."""

    def __init__(self, device: Device, compiler: Compiler, commands: CommandList, base: Base | None = None) -> None:
        self._device, self._compiler, self._commands = device, compiler, commands
        self._base = base or base_address
        self._hazards = Hazards()
        self.blocks: list[Allocation] = []
        """Arguments that lie in memory, which has to stay as long as the list may run."""
        self.barriers = 0

    def add(self, launch: Launch) -> None:
        """Adds a launch behind the others."""
        compiled = self._compiler.get(launch.spec)
        writes = [_span(tensor, self._base(tensor)) for tensor in launch.changed]
        reads = [_span(tensor, self._base(tensor)) for tensor in (*launch.updates, *launch.reads)]
        if self._hazards.meets(reads, writes):
            self._commands.barrier()
            self._hazards.clear()
            self.barriers += 1
        self._hazards.add(reads, writes)
        addresses = [address_of(tensor, self._base(tensor)) for tensor in launch.tensors]
        block = compiled.layout.pack([*addresses, *launch.values])
        if compiled.layout.in_memory:
            place = self._device.memory.allocate(len(block), f"arguments of `{launch.spec.name}`")
            self._device.staging.upload(place, np.frombuffer(block, np.uint8))
            self.blocks.append(place)
            block = place.address.to_bytes(8, "little")
        self._commands.dispatch(compiled.pipeline, block, launch.groups)


def base_address(tensor: Tensor) -> int:
    """Returns where the buffer of a tensor in memory begins."""
    address: int = buffer_of(tensor).memory.address
    return address


def address_of(tensor: Tensor, base: int) -> int:
    """Returns the address of a tensor's first element, in a buffer that begins at `base`."""
    return base + view_of(tensor).offset * stored_dtype(tensor).itemsize


def _span(tensor: Tensor, base: int) -> Span:
    """Returns the bytes between a tensor's first and last element."""
    start = address_of(tensor, base)
    if 0 in tensor.shape:
        return start, start
    strides = view_of(tensor).strides
    last = sum((length - 1) * stride for length, stride in zip(tensor.shape, strides, strict=True))
    return start, start + (last + 1) * stored_dtype(tensor).itemsize
