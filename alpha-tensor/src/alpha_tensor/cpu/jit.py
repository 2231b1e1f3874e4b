"""Compiling kernels and loading them: from the cache where they are there, else through LLVM."""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import attrs
import llvmlite
import llvmlite.binding as llvm

from alpha_core.file_cache import FileCache
from alpha_core.recording.launch import KernelSpec
from alpha_tensor.cpu.build import build
from alpha_tensor.cpu.emit import target_machine
from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.target import Target

__all__ = ["Jit", "Progress"]

Progress = Callable[[str], None]


class Jit:
    """Turns kernel specs into addresses of native functions."""

    def __init__(
        self, target: Target, cache: FileCache, progress: Progress | None = None, *, processors: int = 1
    ) -> None:
        """Compiles on so many processors."""
        self.target = target
        self._processors = processors
        self._cache = cache
        self._progress = progress
        self._addresses: dict[KernelSpec, int] = {}
        self._loaded: list[Any] = []  # resource trackers, which keep the code in memory
        self._lljit = llvm.create_lljit_compiler(target_machine(target.cpu, target.features))
        self._fingerprint = _digest(_source_digest(), llvmlite.__version__, str(attrs.astuple(target)))
        self._lock = Lock()
        self.compiled = 0
        """Kernels that were not in the cache."""

    def address(self, spec: KernelSpec) -> int:
        """Returns the address of a kernel, which is compiled on first use."""
        if spec not in self._addresses:
            self.prepare([spec])
        return self._addresses[spec]

    def prepare(self, specs: Iterable[KernelSpec]) -> None:
        """Loads or compiles many kernels at once."""
        missing = [spec for spec in dict.fromkeys(specs) if spec not in self._addresses]
        if not missing:
            return
        with self._lock:
            keys = {spec: self._key(spec) for spec in missing}
            found = {spec: self._cache.read(keys[spec]) for spec in missing}
            objects = {spec: code for spec, code in found.items() if code is not None}
            absent = [spec for spec in missing if spec not in objects]
            started = time.perf_counter()
            if len(absent) > 3 and self._progress is not None:
                self._progress(f"compiling {len(absent)} kernels for this processor, once ...")
            if absent:
                texts = [self._module(spec) for spec in absent]
                for spec, code in zip(absent, build(texts, self.target, self._processors), strict=True):
                    objects[spec] = code
                    self._cache.write(keys[spec], code)
                self.compiled += len(absent)
            for spec in missing:
                self._addresses[spec] = self._load(keys[spec], objects[spec])
            if len(absent) > 3 and self._progress is not None:
                self._progress(f"compiled in {time.perf_counter() - started:.1f} s")

    def _key(self, spec: KernelSpec) -> str:
        """Returns the name of a kernel in the cache, which changes with what it is made from."""
        if spec.build.__module__.startswith(f"{__package__}."):
            return _digest(self._fingerprint, spec.identity)
        return _digest(self._fingerprint, self._module(spec))  # of somebody else, whose sources may lie anywhere

    def _module(self, spec: KernelSpec) -> str:
        kernel = Kernel(self.target)
        spec.build(kernel, **dict(spec.parameters))
        kernel.return_()
        return str(kernel.module)

    def _load(self, key: str, code: bytes) -> int:
        library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol("kernel")
        tracker = library.link(self._lljit, f"{key}-{len(self._loaded)}")
        self._loaded.append(tracker)
        address: int = tracker["kernel"]
        return address


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


@lru_cache(maxsize=1)
def _source_digest() -> str:
    """Changes with any file that takes part in generating code, so that an upgrade never loads old kernels."""
    folder = Path(__file__).parent
    files: Sequence[Path] = sorted([*folder.glob("*.py"), *folder.glob("llvm/*.py"), *folder.glob("kernels/*.py")])
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
