"""The backend `cpu` as tests of single ops use it: at a level of vector instructions, and with split launches."""

from pathlib import Path

from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.cache import ObjectCache
from alpha_tensor.cpu.engine import SIGNATURE, Launch
from alpha_tensor.cpu.storage import address_of
from alpha_tensor.cpu.target import LEVELS, host_target, target_of

__all__ = ["InParts", "cpu", "levels"]


def levels() -> list[str]:
    """Returns the levels of this machine."""
    return list(LEVELS[: LEVELS.index(host_target().level) + 1])


def cpu(folder: Path, level: str | None = None, threads: int = 1) -> Cpu:
    """Returns a backend with a kernel cache of its own."""
    return Cpu(target_of(level) if level else None, threads=threads, cache=ObjectCache(folder))


class InParts(Cpu):
    """Runs every launch as `parts` threads would, one share after the other, the last one first."""

    def __init__(self, folder: Path, parts: int, level: str | None = None) -> None:
        super().__init__(target_of(level) if level else None, threads=1, cache=ObjectCache(folder))
        self.parts = parts

    def run(self, launch: Launch) -> None:
        """Runs the shares of a launch."""
        table = launch.table(address_of)
        kernel = SIGNATURE(self.jit.address(launch.spec))
        for part in reversed(range(self.parts)):
            kernel(table.ctypes.data, part, self.parts)
