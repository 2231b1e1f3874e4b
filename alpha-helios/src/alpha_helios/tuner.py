"""Choosing among variants of a kernel: the first one by rule, or the fastest on this device where that was measured."""

import math
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from alpha_core.recording.launch import Launch
from alpha_core.recording.storage import buffer_of
from alpha_helios.compiler import Compiler
from alpha_helios.dispatch import Dispatcher
from alpha_helios.vulkan.device import Device

__all__ = ["Tuner"]

Variant = TypeVar("Variant")

_REPEATS = 5
_RUNS = 8
"""So often a variant runs in one submission, so that handing it over does not count."""


class Tuner:
    """Results are kept on disk by device, driver and kernel; without `measures` only what is there already is used."""

    def __init__(self, device: Device, compiler: Compiler, *, measures: bool) -> None:
        self._device, self._compiler, self._cache = device, compiler, device.tuning
        self.measures = measures

    def choose(self, key: str, variants: Sequence[Variant], make: Callable[[Variant], Sequence[Launch]]) -> Variant:
        """Returns a variant of what `key` names together with its sizes; the first one is the static choice.

        `make` gives the launches of a variant. Variants must be equally right; they may round differently.
        """
        if len(variants) == 1:
            return variants[0]
        names = [str(variant) for variant in variants]
        known = (self._cache.read(key) or {}).get("variant")
        if known in names:
            return variants[names.index(known)]
        if not self.measures:
            return variants[0]
        times = [self._time(key, make(variant)) for variant in variants]
        best = min(range(len(variants)), key=times.__getitem__)
        self._cache.write(key, {"variant": names[best], "seconds": dict(zip(names, times, strict=True))})
        return variants[best]

    def _time(self, name: str, launches: Sequence[Launch]) -> float:
        """Returns seconds of one run, on scratch memory in place of the launches' own."""
        buffers = {id(buffer): buffer for launch in launches for buffer in map(buffer_of, launch.tensors)}
        held = {key: self._device.memory.allocate(buffer.nbytes, "tuning") for key, buffer in buffers.items()}
        commands = self._device.record(f"tuning `{name}`", reusable=True)
        for place in held.values():
            commands.fill(place, 0)
        dispatcher = Dispatcher(
            self._device, self._compiler, commands, lambda tensor: held[id(buffer_of(tensor))].address
        )
        commands.barrier()
        for _ in range(_RUNS):
            for launch in launches:
                dispatcher.add(launch)
            commands.barrier()
        best = math.inf
        for _ in range(_REPEATS):
            start = time.perf_counter()
            self._device.wait(self._device.submit(commands))
            best = min(best, time.perf_counter() - start)
        commands.close()
        for place in (*held.values(), *dispatcher.blocks):
            place.free()
        return best / _RUNS
