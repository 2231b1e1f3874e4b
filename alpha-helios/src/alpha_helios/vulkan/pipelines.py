"""Compute pipelines: SPIR-V made ready to run, each module once, with the driver's work kept on disk."""

import hashlib
import os
import struct
from array import array
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs

from alpha_core.errors import BackendError
from alpha_helios.vulkan.constants import (
    API_1_3,
    PIPELINE_SHADER_STAGE_REQUIRE_FULL_SUBGROUPS,
    SHADER_STAGE_COMPUTE,
    STRUCTURE_TYPE,
)
from alpha_helios.vulkan.features import check_requirements
from alpha_helios.vulkan.logical_device import LogicalDevice
from alpha_helios.vulkan.pipeline_cache import PipelineCache

__all__ = ["Kernel", "Pipeline", "Pipelines", "with_loops"]

_SPIRV_MAGIC = 0x07230203
_HEADER_WORDS = 5
_LOOP_MERGE = 246
_DEFAULT, _DONT_UNROLL = 0, 2


@attrs.frozen(kw_only=True)
class Kernel:
    """A module of SPIR-V with the entry point `main`, and how it is to be compiled."""

    name: str
    words: bytes = attrs.field(repr=False)
    """The module, little-endian."""
    requirements: frozenset[str] = frozenset()
    """Features of Vulkan that it needs, by the names of the specification."""
    push_bytes: int = 0
    """Bytes of push constants; a multiple of 4."""
    subgroup_size: int | None = None
    """The subgroup size that it is written for; None leaves that to the driver."""
    full_subgroups: bool = False
    """Whether every subgroup has to be full; the workgroup's x is then a multiple of the subgroup size."""
    specialization: Mapping[int, int | float] = attrs.field(factory=dict)
    """Values of specialization constants of 32 bit, by `SpecId`."""

    @property
    def key(self) -> str:
        """Names everything that the pipeline depends on."""
        options = (self.push_bytes, self.subgroup_size, self.full_subgroups, sorted(self.specialization.items()))
        return hashlib.sha256(self.words + repr(options).encode()).hexdigest()


@attrs.frozen(eq=False)
class Pipeline:
    """A kernel that is ready to run."""

    name: str
    key: str
    push_bytes: int
    handle: Any
    layout: Any


class Pipelines:
    """All pipelines of a device. Those with equally many push constants share a layout; there are no descriptors."""

    def __init__(self, device: LogicalDevice, cache: PipelineCache) -> None:
        self._device = device
        self._cache = cache
        self._made: dict[str, Pipeline] = {}
        self._layouts: dict[int, Any] = {}
        self.threads = max(1, min(16, os.cpu_count() or 1))
        self.compiled = 0
        """How many were made."""

    def compile(self, kernel: Kernel) -> Pipeline:
        """Returns the pipeline of a kernel, made when it is first asked for.

        Raises `BackendError` that names the kernel, and the feature that the device lacks or what the driver says.
        """
        return self.prepare([kernel])[0]

    def prepare(self, kernels: Sequence[Kernel]) -> list[Pipeline]:
        """Returns the pipelines of many kernels; those that are new are made in parallel."""
        wanted = {kernel.key: kernel for kernel in kernels}
        new = {key: kernel for key, kernel in wanted.items() if key not in self._made}
        for kernel in new.values():
            self._check(kernel)
        if len(new) > 1:
            with ThreadPoolExecutor(min(self.threads, len(new))) as pool:
                made = list(pool.map(self._make, new, new.values()))
        else:
            made = [self._make(key, kernel) for key, kernel in new.items()]
        with self._device.lock:
            for pipeline in made:
                if self._made.setdefault(pipeline.key, pipeline) is not pipeline:
                    self._destroy(pipeline)  # another thread was as quick
            self.compiled += len(made)
        if made:
            self._cache.note(len(made))
        return [self._made[kernel.key] for kernel in kernels]

    def close(self) -> None:
        """Destroys everything; nothing may be running."""
        lib, ffi = self._device.vulkan.lib, self._device.vulkan.ffi
        for pipeline in self._made.values():
            self._destroy(pipeline)
        for layout in self._layouts.values():
            lib.vkDestroyPipelineLayout(self._device.handle, layout, ffi.NULL)
        self._made.clear()
        self._layouts.clear()

    def _check(self, kernel: Kernel) -> None:
        info = self._device.info
        size = kernel.subgroup_size
        given = {"subgroupSizeControl"} if size == info.subgroup_size else set()  # it needs no asking for
        check_requirements(kernel.name, kernel.requirements - given, info.features, f"`{info.name}`")
        check_module(kernel, info.limits.max_push_constants)
        version = int.from_bytes(kernel.words[4:8], "little")
        newest = 0x010600 if info.api_version >= API_1_3 else 0x010500
        if version > newest:
            raise BackendError(
                f"kernel `{kernel.name}` is SPIR-V {version >> 16}.{version >> 8 & 0xFF}; "
                f"`{info.name}` takes 1.{newest >> 8 & 0xFF} at most"
            )
        least, most = info.subgroup_sizes
        if size is not None and size != info.subgroup_size and not least <= size <= most:
            raise BackendError(
                f"kernel `{kernel.name}` needs subgroups of {size}; those of `{info.name}` have {least} to {most}"
            )

    def _layout(self, push_bytes: int) -> Any:
        with self._device.lock:
            if push_bytes not in self._layouts:
                vulkan = self._device.vulkan
                pushed = vulkan.ffi.new("VkPushConstantRange *", (SHADER_STAGE_COMPUTE, 0, push_bytes))
                layout = vulkan.ffi.new("VkPipelineLayout *")
                info = vulkan.new("VkPipelineLayoutCreateInfo")
                if push_bytes:
                    info.pushConstantRangeCount, info.pPushConstantRanges = 1, pushed
                result = vulkan.lib.vkCreatePipelineLayout(self._device.handle, info, vulkan.ffi.NULL, layout)
                self._device.check(result, "make a pipeline layout")
                self._layouts[push_bytes] = layout[0]
            return self._layouts[push_bytes]

    def _make(self, key: str, kernel: Kernel) -> Pipeline:
        device, vulkan = self._device, self._device.vulkan
        ffi, lib = vulkan.ffi, vulkan.lib
        layout = self._layout(kernel.push_bytes)
        # For a processor, compiling a loop that was unrolled takes far longer than it saves.
        code = with_loops(kernel.words) if device.info.software else kernel.words
        words = ffi.new("uint32_t[]", len(code) // 4)
        ffi.memmove(words, code, len(code))
        module, pipeline = ffi.new("VkShaderModule *"), ffi.new("VkPipeline *")
        info = vulkan.new("VkShaderModuleCreateInfo", codeSize=len(code), pCode=words)
        what = f"compile kernel `{kernel.name}`"
        device.alive()
        device.check(lib.vkCreateShaderModule(device.handle, info, ffi.NULL, module), what)
        try:
            create = vulkan.new("VkComputePipelineCreateInfo", layout=layout)
            # Everything that the struct points to is held here until the call has returned.
            held = self._fill_stage(create.stage, kernel, module[0])
            result = lib.vkCreateComputePipelines(device.handle, self._cache.handle, 1, create, ffi.NULL, pipeline)
            del held
            device.check(result, what)
        finally:
            lib.vkDestroyShaderModule(device.handle, module[0], ffi.NULL)
        return Pipeline(kernel.name, key, kernel.push_bytes, pipeline[0], layout)

    def _fill_stage(self, stage: Any, kernel: Kernel, module: Any) -> list[Any]:
        vulkan, ffi = self._device.vulkan, self._device.vulkan.ffi
        entry = ffi.new("char[]", b"main")
        stage.sType = STRUCTURE_TYPE["VkPipelineShaderStageCreateInfo"]
        stage.stage, stage.module, stage.pName = SHADER_STAGE_COMPUTE, module, entry
        held = [entry]
        if kernel.subgroup_size is not None and "subgroupSizeControl" in self._device.info.features:
            size = vulkan.new(
                "VkPipelineShaderStageRequiredSubgroupSizeCreateInfo", requiredSubgroupSize=kernel.subgroup_size
            )
            stage.pNext = size
            held.append(size)
        if kernel.full_subgroups and "computeFullSubgroups" in self._device.info.features:
            stage.flags = PIPELINE_SHADER_STAGE_REQUIRE_FULL_SUBGROUPS
        if kernel.specialization:
            values = [
                struct.pack("<f", value) if isinstance(value, float) else struct.pack("<I", value & 0xFFFFFFFF)
                for value in kernel.specialization.values()
            ]
            entries = ffi.new(
                "VkSpecializationMapEntry[]",
                [(identity, 4 * index, 4) for index, identity in enumerate(kernel.specialization)],
            )
            data = ffi.new("char[]", b"".join(values))
            info = ffi.new("VkSpecializationInfo *", (len(values), entries, 4 * len(values), data))
            stage.pSpecializationInfo = info
            held += [entries, data, info]
        return held

    def _destroy(self, pipeline: Pipeline) -> None:
        lib, ffi = self._device.vulkan.lib, self._device.vulkan.ffi
        lib.vkDestroyPipeline(self._device.handle, pipeline.handle, ffi.NULL)


def with_loops(code: bytes) -> bytes:
    """Returns a module with the wish that loops are not unrolled, wherever it leaves that to the driver."""
    words = array("I", code)
    at = _HEADER_WORDS
    while at < len(words):
        count, number = words[at] >> 16, words[at] & 0xFFFF
        if number == _LOOP_MERGE and at + 3 < len(words) and words[at + 3] == _DEFAULT:
            words[at + 3] = _DONT_UNROLL
        at += max(count, 1)
    return words.tobytes()


def check_module(kernel: Kernel, max_push_constants: int) -> None:
    """Raises `BackendError` unless the bytes look like SPIR-V and the push constants fit."""
    words = kernel.words
    if len(words) < 20 or len(words) % 4 or int.from_bytes(words[:4], "little") != _SPIRV_MAGIC:
        raise BackendError(f"kernel `{kernel.name}` is no module of SPIR-V")
    if kernel.push_bytes % 4 or not 0 <= kernel.push_bytes <= max_push_constants:
        raise BackendError(
            f"kernel `{kernel.name}` has {kernel.push_bytes} bytes of push constants; "
            f"a multiple of 4 up to {max_push_constants} is possible"
        )
