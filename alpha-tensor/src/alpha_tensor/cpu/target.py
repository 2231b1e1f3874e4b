"""The processor that kernels are generated for: which vector instructions it has, and how much of them to use."""

import ctypes
import os
import platform
from functools import lru_cache

import attrs
import llvmlite.binding as llvm

from alpha_core.errors import UsageError
from alpha_core.suggest import did_you_mean
from alpha_tensor.cpu.emit import initialize

__all__ = ["LEVELS", "Target", "host_target"]

LEVELS = ("portable", "avx2", "avx512", "avx512bf16", "amx")
"""Values of `ALPHA_CPU_FEATURES`: each includes those before it. `portable` is what LLVM gives every processor of the
architecture: SSE2 on x86-64, NEON on 64-bit Arm."""

_NEEDED = {
    "avx2": ("avx2", "fma", "f16c"),
    "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
    "avx512bf16": ("avx512bf16",),
    "amx": ("amx-tile", "amx-bf16"),
}
_REQUEST_TILES, _TILE_DATA = 0x1023, 18  # arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) of Linux


@attrs.frozen
class Target:
    """A processor at one of `LEVELS`."""

    level: str
    cpu: str
    features: str
    """As LLVM reads them: `+avx2,-avx512f,...`."""

    @property
    def vector_bits(self) -> int:
        return {"portable": 128, "avx2": 256}.get(self.level, 512)

    @property
    def lanes(self) -> int:
        """Single-precision numbers in one register."""
        return self.vector_bits // 32

    @property
    def is_x86(self) -> bool:
        return self.level != "portable" or self.cpu == "x86-64"

    @property
    def has_bf16(self) -> bool:
        """Whether products of bf16 numbers have instructions of their own."""
        return self.level in ("avx512bf16", "amx")

    @property
    def has_tiles(self) -> bool:
        """Whether there are matrix instructions on tiles (AMX)."""
        return self.level == "amx"


@lru_cache(maxsize=1)
def host_target() -> Target:
    """Returns this machine's processor, at the highest level that it has or at `ALPHA_CPU_FEATURES`.

    Raises `UsageError` if the variable names another level, or one that the processor does not have.
    """
    initialize()
    able = _host_level()
    wanted = os.environ.get("ALPHA_CPU_FEATURES") or able
    if wanted not in LEVELS:
        raise UsageError(
            f"`ALPHA_CPU_FEATURES` is `{wanted}`; there are {', '.join(LEVELS)}", hint=did_you_mean(wanted, LEVELS)
        )
    if LEVELS.index(wanted) > LEVELS.index(able):
        raise UsageError(
            f"`ALPHA_CPU_FEATURES` asks for `{wanted}`, and this processor goes up to `{able}`", hint="unset it"
        )
    return target_of(wanted)


def target_of(level: str) -> Target:
    """Returns this machine's processor as if it had a level at most."""
    if level == "portable":
        return Target(level, "" if platform.machine() not in ("x86_64", "AMD64") else "x86-64", "")
    masked = {name for higher in LEVELS[LEVELS.index(level) + 1 :] for name in _NEEDED[higher]}
    features = {
        name: have and name not in masked and not (level == "avx2" and name.startswith(("avx512", "avx10", "amx")))
        for name, have in llvm.get_host_cpu_features().items()
    }
    flags = [f"{'+' if have else '-'}{name}" for name, have in sorted(features.items())]
    # Some processors are marked as better with half the register width, to save power; products gain from the whole.
    return Target(level, llvm.get_host_cpu_name(), ",".join([*flags, "-prefer-256-bit"]))


def _host_level() -> str:
    if platform.machine() not in ("x86_64", "AMD64"):
        return "portable"
    have, able = llvm.get_host_cpu_features(), "portable"
    for level in LEVELS[1:]:
        if not all(have.get(name, False) for name in _NEEDED[level]):
            break
        if level == "amx" and not _tiles_allowed():
            break
        able = level
    return able


def _tiles_allowed() -> bool:
    """Asks Linux for the tile registers, whose state is large, so that it is kept for processes that asked."""
    if platform.system() != "Linux":
        return False
    denied: int = ctypes.CDLL(None).syscall(158, _REQUEST_TILES, _TILE_DATA)
    return denied == 0
