"""What `alpha gpuinfo` tells, for people."""

from collections.abc import Iterator, Sequence

from alpha_helios.gpuinfo import GpuReport
from alpha_helios.vulkan.device_info import CooperativeShape, DeviceInfo, FlexibleShape
from alpha_helios.vulkan.slabs import gibibytes

__all__ = ["report_lines"]

_WIDTH = 16


def report_lines(report: GpuReport) -> Iterator[str]:
    """Yields the lines."""
    if report.problem is not None:
        yield f"`helios` does not work here: {report.problem}"
    for info, budgets in zip(report.devices, report.budgets, strict=True):
        is_used = info.index == report.used
        yield f"device {info.index}: {info.name} ({info.kind}){', which `helios` uses' if is_used else ''}"
        for label, value in _facts(info, budgets, report.memory_limit if is_used else None):
            yield _row(label, value)
        if is_used and report.paths:
            for path in report.paths:
                state = f"on: {path.summary}" if path.off is None else f"off: {path.off}"
                yield _row(f"path {path.name}", state)
        elif not is_used and info.unusable is None:
            yield _row("fast paths", f"`ALPHA_HELIOS_DEVICE={info.index} alpha gpuinfo` tests them")
    automatic = report.automatic
    if automatic.backend == "helios":
        yield "`--backend=auto` takes `helios`"
    elif automatic.backend is not None:
        yield f"`--backend=auto` takes `{automatic.backend}`: {automatic.reason}"
    else:
        yield f"`--backend=auto` finds nothing: {automatic.reason}"


def _row(label: str, value: str) -> str:
    return f"  {label:<{_WIDTH}} {value}"


def _facts(info: DeviceInfo, budgets: tuple[int, ...] | None, limit: int | None) -> Iterator[tuple[str, str]]:
    if info.unusable is not None:
        yield "not usable", info.unusable
    yield "driver", info.driver
    yield "Vulkan", info.api
    for index, heap in enumerate(info.heaps):
        free = f", {gibibytes(budgets[index])} for this process" if budgets is not None else ""
        where = "of the device" if heap.device_local else "of the processor"
        yield "memory" if index == 0 else "", f"{gibibytes(heap.nbytes)} {where}{free}"
    if limit is not None:
        yield "", f"at most {gibibytes(limit)} by `ALPHA_HELIOS_MEMORY_BYTES`"
    least, most = info.subgroup_sizes
    yield "subgroups", str(info.subgroup_size) if least == most else f"{info.subgroup_size}, or {least} to {most}"
    limits = info.limits
    shared = f"{limits.shared_memory / 1024:g} KiB of shared memory"
    yield "workgroups", f"up to {limits.max_workgroup_invocations} invocations with {shared}"
    yield "arguments", f"{limits.max_push_constants} bytes, more through memory"
    yield "one tensor", f"up to {gibibytes(limits.max_allocation)}"
    for label, shapes in (("matrices (KHR)", info.cooperative_shapes), ("matrices (NV2)", info.flexible_shapes)):
        for index, line in enumerate(_shapes(shapes) or ["none"]):
            yield label if index == 0 else "", line


def _shapes(shapes: "Sequence[CooperativeShape | FlexibleShape]") -> list[str]:
    """One line for each combination of types: `f16 x f16 + f32 -> f32 (subgroup): 16x16x16, 16x8x16`."""
    found: dict[str, list[str]] = {}
    for shape in shapes:
        kind = f"{shape.a} x {shape.b} + {shape.c} -> {shape.result} ({shape.scope}"
        if isinstance(shape, FlexibleShape):
            workgroup = f" of {shape.workgroup_invocations}" if shape.workgroup_invocations else ""
            size, kind = f"multiples of {shape.m}x{shape.n}x{shape.k}", f"{kind}{workgroup}"
        else:
            size = f"{shape.m}x{shape.n}x{shape.k}"
        sizes = found.setdefault(kind + (", saturating)" if shape.saturating else ")"), [])
        if size not in sizes:
            sizes.append(size)
    return [f"{kind}: {', '.join(sizes)}" for kind, sizes in found.items()]
