"""What measured: the machine, the versions, the commit and the variables that change speed."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import attrs

from alpha_bench.gauge import cores
from alpha_core.providers import ALPHA_PACKAGES

__all__ = ["Machine", "commit", "environment", "load_average", "versions"]

_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "bf16", "sve")
"""Instruction sets that decide how fast a backend can be, as Linux names them."""
_VARIABLES = (
    "ALPHA_THREADS",
    "ALPHA_PLUGINS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "KMP_AFFINITY",
    "GOMP_CPU_AFFINITY",
)
_VARIABLE_PREFIXES = ("ALPHA_CPU_", "ALPHA_HELIOS_", "NUMBA_")
_LIBRARIES = ("numpy", "llvmlite", "numba", "vulkan")


@attrs.frozen(kw_only=True)
class Machine:
    """A machine, as far as it decides how fast something is."""

    cpu: str
    cores: int
    """That this process may use."""
    memory_bytes: int | None
    system: str
    features: Sequence[str] = ()

    @classmethod
    def here(cls) -> "Machine":
        facts = _cpu_facts()
        flags = (facts.get("flags") or facts.get("Features", "")).split()
        return cls(
            cpu=_cpu_name(facts) or platform.processor() or platform.machine(),
            cores=cores(),
            memory_bytes=_memory_bytes(),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            features=[name for name in _FEATURES if name in flags],
        )

    def differences(self, other: "Machine") -> list[str]:
        """Returns what makes times of the two machines no matter of the program, a phrase each."""
        return [
            f"{name} `{getattr(self, field)}` and `{getattr(other, field)}`"
            for field, name in (("cpu", "processors"), ("cores", "numbers of cores"))
            if getattr(self, field) != getattr(other, field)
        ]


def versions(more: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Returns the versions of Python, of the libraries that compute, and of Alpha; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _LIBRARIES:
        found[name] = _version(name)
    found.update({name: version for name in ALPHA_PACKAGES if (version := _version(name)) is not None})
    return {**found, **(more or {})}


def commit(folder: Path | None = None) -> str | None:
    """Returns the commit of the checkout that this package runs from, with `+changes` if files differ from it.

    None for a package that was installed, and where git is missing.
    """
    folder = folder or Path(__file__).resolve().parent
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    tracked = _git(folder, "ls-files", "--error-unmatch", ".")
    if head is None or tracked is None:  # an environment may lie in a checkout of something else
        return None
    return head + ("+changes" if _git(folder, "status", "--porcelain") else "")


def environment() -> dict[str, str]:
    """Returns the environment variables that change speed, those that are set."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name in _VARIABLES or name.startswith(_VARIABLE_PREFIXES)
    }


def load_average() -> float | None:
    """Returns how many processes wanted to run in the last minute; None where nobody counts."""
    with suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 2)
    return None


def _cpu_facts() -> dict[str, str]:
    """Returns what Linux says of the first processor; nothing elsewhere."""
    facts: dict[str, str] = {}
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, colon, value = line.partition(":")
            if not colon and facts:
                break
            facts[key.strip()] = value.strip()
    return facts


def _cpu_name(facts: Mapping[str, str]) -> str:
    """Returns the name of a processor. Virtual machines may hide which one of many it is; its numbers still tell."""
    name = facts.get("model name", "")
    if any(letter.isdigit() for letter in name) or not {"cpu family", "model"} <= facts.keys():
        return name
    return f"{name} (family {facts['cpu family']}, model {facts['model']})"


def _memory_bytes() -> int | None:
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
