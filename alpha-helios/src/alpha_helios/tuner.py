"""Choosing among variants of a kernel: the first one by rule, or the fastest on this device where that was measured."""

import math
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs

from alpha_core.recording.launch import Launch
from alpha_core.recording.storage import Buffer, buffer_of, view_of
from alpha_core.tensor import Tensor
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
        """Returns a variant of the kernel `key` names together with its sizes; the first one is the static choice.

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
        times = [self._time(make(variant)) for variant in variants]
        best = min(range(len(variants)), key=times.__getitem__)
        self._cache.write(key, {"variant": names[best], "seconds": dict(zip(names, times, strict=True))})
        return variants[best]

    def _time(self, launches: Sequence[Launch]) -> float:
        """Returns seconds of one run, on scratch memory in place of the launches' own."""
        places = {id(buffer): buffer for launch in launches for buffer in map(buffer_of, launch.tensors)}
        held = {key: self._device.memory.allocate(buffer.nbytes, "tuning") for key, buffer in places.items()}
        scratch = {key: Buffer(buffer.nbytes, held[key]) for key, buffer in places.items()}

        def moved(tensor: Tensor) -> Tensor:
            view = view_of(tensor)
            return Tensor(tensor.shape, tensor.dtype, attrs.evolve(view, buffer=scratch[id(view.buffer)]))

        alone = []
        for launch in launches:
            groups = (launch.writes, launch.updates, launch.reads)
            writes, updates, reads = (tuple(map(moved, group)) for group in groups)
            alone.append(attrs.evolve(launch, writes=writes, updates=updates, reads=reads))
        commands = self._device.record(f"tuning `{launches[-1].spec.name}`", reusable=True)
        for place in held.values():
            commands.fill(place, 0)
        dispatcher = Dispatcher(self._device, self._compiler, commands)
        for _ in range(_RUNS):
            for launch in alone:
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
