"""Products by cooperative matrices: what a device offers, and the kernels that use it for operands of 16 bits."""

import attrs

from alpha_core.recording.launch import KernelSpec
from alpha_helios.blocked import LARGE, Blocked, divisions
from alpha_helios.kernels.coop_tile import COOP_TILES, GROUP, CoopTile
from alpha_helios.kernels.matmul_coop import Fragment, gemm_coop
from alpha_helios.kernels.tile import Side
from alpha_helios.product import Matrix, Task
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = [
    "BY_ELEMENT",
    "FEATURES",
    "CoopTiled",
    "component_features",
    "coop_variants",
    "fragments",
    "in_groups",
    "lacking_fragments",
]

FEATURES = (
    "cooperativeMatrix",
    "subgroupSizeControl",
    "computeFullSubgroups",
    "vulkanMemoryModel",
    "storageBuffer16BitAccess",
    "shaderInt16",
)
"""What the kernels need whatever they multiply. Without full subgroups of a known size a matrix belongs to nobody."""
_COMPONENT = {
    "f16": ("shaderFloat16",),
    "bf16": ("shaderBFloat16Type", "shaderBFloat16CooperativeMatrix"),
}
"""What they need beside that for operands of a dtype."""
BY_ELEMENT = "cooperativeMatrixPerElementOperations"
"""With it, sums are finished where they are, and take no way through shared memory."""

_MULTIPLY_ADDS = 1024
"""Of a processor in a cycle, 8 times those without matrices: 4 units with 256 each, as in GPUs since 2020."""
_EFFICIENCY = {
    "256x128x32": 0.75,
    "256x128x16": 0.7,
    "128x128x32": 0.6,
    "128x128x32 by 8": 0.55,
    "128x64x32": 0.5,
    "64x64x32": 0.4,
    "32x64x32": 0.25,
    "32x32x32": 0.15,
    "32x32x16": 0.12,
    "16x64x32": 0.15,
    "16x16x16": 0.1,
}
"""What share of that a tile reaches, beside reading shared memory and the second level of cache: estimates."""
_SCATTERED = 0.97
"""What is left of it where sums are stored from where they are, by invocations that are no neighbours: an estimate."""
_MOST_ACCUMULATORS = 128
"""Registers of an invocation that hold sums: half of those that it can have, as factors and addresses need some."""
_FEW_REGISTERS = {0x8086: 64}
"""The same by vendor."""
_TURNING = frozenset({0x1002})
"""Vendors whose GPUs read a matrix number by number where it lies across its rows in shared memory: AMD. Turning it on
its way there takes 8 instructions for 8 numbers, once, and not whenever a subgroup reads them."""
_MOST_COMPILED = 8
"""Products of matrices in one turn of the loop on a device that computes on the processor, where each is a page of code
of its own: 8 take 0.3 s to be compiled, 64 take 4 s."""
_QUICKLY_COMPILED = 2
"""So many are preferred there."""
_MEASURED = 2
"""Numbers of parts that are measured for each tile when the device is tuned."""


@attrs.frozen
class CoopTiled(Blocked):
    """Operands pass through shared memory, rounded on the way; matrices belong to subgroups."""

    tile: str
    fragment: Fragment
    subgroup: int
    parts: int = 1
    by_element: bool = False
    """Whether sums are finished where they are, unless they are added to something."""
    turned: bool = False
    """Whether operands that do not lie along the sum are turned on their way."""

    def __str__(self) -> str:
        name = f"{'coop2' if self.by_element else 'coop'} {self.tile} of {self.fragment}{' turned' * self.turned}"
        return name if self.parts == 1 else f"{name} in {self.parts} parts"

    @property
    def block(self) -> tuple[int, int, int]:
        tile = COOP_TILES[self.tile]
        return tile.rows, tile.columns, tile.depth

    def rate(self, info: DeviceInfo) -> float:
        rate = _MULTIPLY_ADDS * _EFFICIENCY[self.tile] * (_SCATTERED if self.by_element else 1)
        compiled = _compiled(COOP_TILES[self.tile], self.fragment)
        return rate * (LARGE if info.software and compiled > _QUICKLY_COMPILED else 1)

    def spec(self, task: Task, left: Side, right: Side) -> KernelSpec:
        tile, problem = COOP_TILES[self.tile], task.problem
        return KernelSpec.of(
            gemm_coop,
            tile=self.tile,
            fragment=self.fragment,
            left=in_groups(left, problem.a, task.rounded),
            right=in_groups(right, problem.b, task.rounded),
            finish=task.finish,
            lanes=task.lanes,
            ragged=problem.length % tile.depth > 0,
            parts=self.parts > 1,
            by_element=self.by_element and not task.add,
            turned=self.turned,
            workgroup=tile.subgroups * self.subgroup,
            subgroup=self.subgroup,
        )


def component_features(dtype: str) -> frozenset[str]:
    """Returns all features of Vulkan that kernels for operands of a dtype need."""
    return frozenset({*FEATURES, *_COMPONENT[dtype]})


def fragments(info: DeviceInfo, dtype: str) -> list[Fragment]:
    """Returns the products of factors of a dtype, with sums in f32, that subgroups compute; large ones first."""
    if not component_features(dtype) <= info.features:
        return []
    able = {
        Fragment(shape.m, shape.n, shape.k)
        for shape in info.cooperative_shapes
        if (shape.a, shape.b, shape.c, shape.result, shape.scope) == (dtype, dtype, "f32", "f32", "subgroup")
        and all(size % GROUP == 0 for size in (shape.m, shape.n, shape.k))
    }
    return sorted(able, key=lambda one: (one.m * one.n * one.k, one.m, one.n), reverse=True)


def lacking_fragments(info: DeviceInfo) -> str | None:
    """Returns why a device that has `FEATURES` multiplies no matrices in 16 bits all the same, or None."""
    if any(fragments(info, dtype) for dtype in _COMPONENT):
        return None
    return "the device multiplies no matrices of f16 or bf16 into sums of f32"


def coop_variants(task: Task, info: DeviceInfo) -> list[Blocked]:
    """Returns the ways to compute a product by cooperative matrices; none where operands are not rounded to 16 bits."""
    if task.rounded not in _COMPONENT:
        return []
    along = (task.problem.a.along, task.problem.b.along)
    turned = info.vendor_id in _TURNING and "lines" in along
    most = _FEW_REGISTERS.get(info.vendor_id, _MOST_ACCUMULATORS)
    if turned:
        along, most = ("inner", "inner"), most // 2  # eight groups are held at once
    offered = fragments(info, task.rounded)
    found: list[Blocked] = []
    for name, tile in COOP_TILES.items():
        fragment = next((one for one in offered if _fits(tile, one, along, info)), None)
        if fragment is None or tile.accumulators(info.subgroup_size) > most:
            continue
        for by_element in (False, True) if BY_ELEMENT in info.features else (False,):
            divided = [
                CoopTiled(name, fragment, info.subgroup_size, parts, by_element, turned)
                for parts in divisions(task.problem.length)
            ]
            found += sorted(divided, key=lambda variant: variant.cycles(task.problem, info))[:_MEASURED]
    return found


def _fits(tile: CoopTile, fragment: Fragment, along: tuple[str, str], info: DeviceInfo) -> bool:
    """Whether a tile consists of such products on a device, and keeps within its limits."""
    limits, subgroup = info.limits, info.subgroup_size
    invocations = tile.subgroups * subgroup
    if tile.high % fragment.m or tile.wide % fragment.n or tile.depth % fragment.k:
        return False
    if any(width * tile.depth % (GROUP * invocations) for width in (tile.rows, tile.columns)):
        return False
    return (
        tile.shared_bytes(along, fragment.m) <= limits.shared_memory
        and invocations <= min(limits.max_workgroup_invocations, limits.max_workgroup_size[0])
        and tile.subgroups <= limits.max_workgroup_subgroups
        and (_compiled(tile, fragment) <= _MOST_COMPILED or not info.software)
    )


def _compiled(tile: CoopTile, fragment: Fragment) -> int:
    """Returns how many products of matrices a turn of the loop has."""
    return tile.high * tile.wide * tile.depth // (fragment.m * fragment.n * fragment.k)


def in_groups(side: Side, matrix: Matrix, dtype: str) -> Side:
    """Returns a side whose elements become factors of a dtype, read 8 at once where they are aligned."""
    return attrs.evolve(side, rounded=dtype, lanes=GROUP if matrix.aligned(GROUP) else side.lanes)
