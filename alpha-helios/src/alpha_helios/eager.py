"""Launches outside of programs: gathered in a command list, and handed to the device when it is time."""

import threading
from typing import Any

from alpha_core.recording.launch import Launch
from alpha_core.recording.storage import buffer_of
from alpha_helios.compiler import Compiler
from alpha_helios.dispatch import Dispatcher
from alpha_helios.vulkan.commands import CommandList
from alpha_helios.vulkan.device import Device

__all__ = ["EagerQueue"]


class EagerQueue:
    """Runs launches in order. Nothing runs before `flush`, which a look at a result does too, or many launches."""

    def __init__(self, device: Device, compiler: Compiler) -> None:
        self._device, self._compiler = device, compiler
        self.most = 128
        """So many are handed over at once at most, so that the device starts while more are on their way."""
        self._lock = threading.RLock()
        self._commands: CommandList | None = None
        self._dispatcher: Dispatcher | None = None
        self._buffers: list[Any] = []  # freed memory may be used again by what is submitted later, so not before

    def add(self, launch: Launch) -> None:
        """Queues a launch on tensors whose buffers exist."""
        with self._lock:
            if self._commands is None or self._dispatcher is None:
                self._commands = self._device.record("ops called by themselves")
                self._dispatcher = Dispatcher(self._device, self._compiler, self._commands)
            self._dispatcher.add(launch)
            self._buffers += map(buffer_of, launch.tensors)
            if self._commands.dispatches >= self.most:
                self.flush()

    def flush(self) -> None:
        """Hands everything to the device; does not wait."""
        with self._lock:
            if self._commands is None or self._dispatcher is None:
                return
            commands, self._commands = self._commands, None
            self._device.submit(commands)
            for block in self._dispatcher.blocks:
                block.free()
            self._dispatcher = None
            self._buffers.clear()
