"""The backend `cpu` as tests of single ops use it: at a level of vector instructions, and with split launches."""

from pathlib import Path

from alpha_core.file_cache import FileCache
from alpha_core.recording.launch import Launch
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.engine import SIGNATURE, argument_table
from alpha_tensor.cpu.memory import address_of
from alpha_tensor.cpu.target import LEVELS, host_target, target_of

__all__ = ["InParts", "cpu", "levels", "own_levels"]


def own_levels() -> list[str]:
    """Returns the levels of this machine."""
    return list(LEVELS[: LEVELS.index(host_target().level) + 1])


def levels() -> list[str]:
    """Returns those that run here: the machine's own, and `avx512` where LLVM can take its vectors apart."""
    own = own_levels()
    return [*own, "avx512"] if own[-1] == "avx2" else own


def cpu(folder: Path, level: str | None = None, threads: int = 1) -> Cpu:
    """Returns a backend with a kernel cache of its own."""
    return Cpu(target_of(level) if level else None, threads=threads, cache=FileCache("kernels", folder))


class InParts(Cpu):
    """Runs every launch as `parts` threads would, one share after the other, the last one first."""

    def __init__(self, folder: Path, parts: int, level: str | None = None) -> None:
        super().__init__(target_of(level) if level else None, threads=1, cache=FileCache("kernels", folder))
        self.parts = parts

    def execute(self, launch: Launch) -> None:
        """Runs the shares of a launch."""
        table = argument_table(launch, address_of)
        kernel = SIGNATURE(self.jit.address(launch.spec))
        for part in reversed(range(self.parts)):
            kernel(table.ctypes.data, part, self.parts)
