"""From kernel specs to pipelines: modules from the cache on disk or from their builders, pipelines from the driver."""

import hashlib
import json
import threading
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import attrs

from alpha_core.file_cache import FileCache
from alpha_core.recording.launch import KernelSpec
from alpha_helios.arguments import ArgumentLayout
from alpha_helios.spirv.kernel import Binary, Kernel, TooManyArgumentsError
from alpha_helios.vulkan.device import Device
from alpha_helios.vulkan.pipelines import Kernel as Module
from alpha_helios.vulkan.pipelines import Pipeline

__all__ = ["Compiled", "Compiler", "build_kernel", "source_digest"]


@attrs.frozen(eq=False)
class Compiled:
    """A kernel that can be dispatched."""

    pipeline: Pipeline
    layout: ArgumentLayout


class Compiler:
    """Compiles each kernel once."""

    def __init__(self, device: Device, cache: FileCache | None = None) -> None:
        self._device = device
        self._cache = cache or FileCache("helios-spirv", suffix=".spv")
        self._compiled: dict[KernelSpec, Compiled] = {}
        self._lock = threading.Lock()
        self.built = 0
        """Modules that were not in the cache."""

    def get(self, spec: KernelSpec) -> Compiled:
        """Returns a kernel, which is compiled on first use."""
        found = self._compiled.get(spec)
        if found is None:
            self.prepare([spec])
            found = self._compiled[spec]
        return found

    def prepare(self, specs: Iterable[KernelSpec]) -> None:
        """Compiles many kernels at once: the driver works on several threads."""
        with self._lock:
            missing = [spec for spec in dict.fromkeys(specs) if spec not in self._compiled]
            if not missing:
                return
            made = [self._module(spec) for spec in missing]
            pipelines = self._device.prepare([module for module, _ in made])
            for spec, (_, layout), pipeline in zip(missing, made, pipelines, strict=True):
                self._compiled[spec] = Compiled(pipeline, layout)

    def _module(self, spec: KernelSpec) -> tuple[Module, ArgumentLayout]:
        """Returns what the device compiles, from the cache where that is possible."""
        key = None
        if spec.build.__module__.startswith("alpha_helios."):  # of somebody else the sources may lie anywhere
            key = _digest(source_digest(), spec.identity)
            stored = self._cache.read(key)
            if stored is not None:
                return _unpacked(spec, stored)
        stored = _packed(build_kernel(spec))
        self.built += 1
        if key is not None:
            self._cache.write(key, stored)
        return _unpacked(spec, stored)


def build_kernel(spec: KernelSpec) -> Binary:
    """Runs a kernel's builder. Arguments that push constants have no room for are read from memory."""
    parameters = dict(spec.parameters)
    workgroup, subgroup = parameters.pop("workgroup", 256), parameters.pop("subgroup", None)
    sizes = (workgroup, 1, 1) if isinstance(workgroup, int) else workgroup
    kernel = Kernel(sizes, "push", subgroup)
    try:
        spec.build(kernel, **parameters)
    except TooManyArgumentsError:
        kernel = Kernel(sizes, "memory", subgroup)
        spec.build(kernel, **parameters)
    return kernel.finish()


def _packed(binary: Binary) -> bytes:
    facts = {
        "requirements": sorted(binary.requirements),
        "subgroup_size": binary.subgroup_size,
        "full_subgroups": binary.full_subgroups,
        "arguments": binary.arguments,
        "argument_bytes": binary.argument_bytes,
        "in_memory": binary.in_memory,
    }
    return json.dumps(facts).encode() + b"\0" + binary.code


def _unpacked(spec: KernelSpec, stored: bytes) -> tuple[Module, ArgumentLayout]:
    head, _, code = stored.partition(b"\0")
    facts = json.loads(head)
    slots = tuple((kind, offset) for kind, offset in facts["arguments"])
    layout = ArgumentLayout(spec.name, slots, facts["argument_bytes"], facts["in_memory"])
    module = Module(
        words=code,
        name=spec.name,
        requirements=frozenset(facts["requirements"]),
        push_bytes=8 if layout.in_memory else layout.nbytes,
        subgroup_size=facts["subgroup_size"],
        full_subgroups=facts["full_subgroups"],
    )
    return module, layout


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Changes with any file that takes part in generating code, so that an upgrade never loads old kernels."""
    folder = Path(__file__).parent
    files = sorted([folder / "grid.py", *folder.glob("spirv/*.py"), *folder.glob("kernels/*.py")])
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
