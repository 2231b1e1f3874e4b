"""The kernels that compute a matrix product, and the rule that picks one from the sizes and the device."""

import math

import attrs

from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.storage import stored_dtype
from alpha_helios.blocked import BYTES, LARGE, START, WORKGROUP, Blocked, Variant, cores, divisions, moved_bytes
from alpha_helios.coop import coop_variants
from alpha_helios.coop2 import tensor_variants
from alpha_helios.grid import grid
from alpha_helios.kernels.gemv import MOST_ROWS, gemv, widths
from alpha_helios.kernels.matmul import gemm
from alpha_helios.kernels.tile import TILES, Side
from alpha_helios.product import Problem, Task, finished, product_launch
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["Streamed", "Tiled", "Variant", "variants"]

_MULTIPLY_ADDS = 128
"""Of a processor in a cycle."""
_EFFICIENCY = {
    "128x128x16": 0.85,
    "128x128x8": 0.75,
    "128x64x16": 0.75,
    "64x64x16": 0.6,
    "32x32x16": 0.35,
    "16x128x16": 0.4,
}
"""What share of the peak a tile reaches, beside reading shared memory and whatever does not multiply: estimates."""
_SPILLING = {0x8086: 32}
"""By vendor, how many sums an invocation can have without losing registers to memory: Intel has 64 of them where 16
invocations run together, as its compiler prefers."""
_QUICKLY_COMPILED = 16
"""The same of devices that compute on the processor, whose compilers need a second and more for a kernel with more. Few
runs get that back: lavapipe computes a product of 512 cubed a third faster."""
_WORTH_MEASURING = 2.0
"""How much longer than the best one a variant may take by the rule; it would have to err by more."""
_MEASURED = 2
"""Numbers of parts that are measured for each tile when the device is tuned."""
_TEAM = 32
"""Invocations that share a row where the size of subgroups is not known."""
_MOST_SUMS = 32
"""That an invocation holds in registers beside what it reads."""
_TEAMS_WANTED = 16
"""For each processor, so that enough reads are under way."""


@attrs.frozen
class Tiled(Blocked):
    """In f32 through shared memory."""

    tile: str
    parts: int = 1
    unrolled: bool = True
    """Whether the code of its kernel has all steps of a block."""

    def __str__(self) -> str:
        return self.tile if self.parts == 1 else f"{self.tile} in {self.parts} parts"

    @property
    def block(self) -> tuple[int, int, int]:
        tile = TILES[self.tile]
        return tile.rows, tile.columns, tile.depth

    def rate(self, info: DeviceInfo) -> float:
        tile = TILES[self.tile]
        most = _QUICKLY_COMPILED if info.software else _SPILLING.get(info.vendor_id, math.inf)
        return _MULTIPLY_ADDS * _EFFICIENCY[self.tile] * (LARGE if tile.high * tile.wide > most else 1)

    def spec(self, task: Task, left: Side, right: Side) -> KernelSpec:
        tile = TILES[self.tile]
        return KernelSpec.of(
            gemm,
            tile=self.tile,
            left=left,
            right=right,
            finish=task.finish,
            lanes=task.lanes,
            ragged=task.problem.length % tile.depth > 0,
            parts=self.parts > 1,
            unrolled=self.unrolled,
            workgroup=tile.invocations,
        )


@attrs.frozen
class Streamed(Variant):
    """Few rows on the left, or one column on the right; the other operand is read once, along the sum."""

    streams: int
    """Rows of the matrix that a team of invocations reads side by side."""
    team: int
    subgroup: int | None

    @classmethod
    def all_of(cls, task: Task, info: DeviceInfo) -> "list[Streamed]":
        """Returns the ways to compute a product so, the one that the rule picks first; none if it has other sizes."""
        few = _few_rows(task.problem)
        if few is None or (few is not task.problem and task.epilogue.scale is not None):
            return []
        subgroup = info.subgroup_size if "subgroupSizeControl" in info.features else None
        vectors = -(-few.length // _width(few))
        team = min(subgroup or _TEAM, 1 << max(vectors - 1, 0).bit_length())
        enough = cores(info) * _TEAMS_WANTED
        able = [count for count in (1, 2, 4) if count * few.rows <= _MOST_SUMS]
        best = max((count for count in able if few.columns // count >= enough), default=1)
        return [cls(streams, team, subgroup) for streams in sorted(able, key=lambda count: count != best)]

    def __str__(self) -> str:
        return f"gemv {self.streams}x{self.team}"

    def launches(self, task: Task) -> list[Launch]:
        problem = _few_rows(task.problem)
        if problem is None:
            raise ValueError(f"{task.key} has neither few rows nor one column")
        return [finished(attrs.evolve(task, problem=problem), self._product)]

    def reads(self, problem: Problem, usual: Problem) -> bool:
        few, wanted = _few_rows(problem), _few_rows(usual)
        if few is None or wanted is None:
            return False
        # How many elements are read at once decides in which order they are added up.
        return (few.rows, _width(few)) == (wanted.rows, _width(wanted))

    def cycles(self, problem: Problem, info: DeviceInfo) -> float:
        multiplying = 2.0 * problem.rows * problem.columns * problem.length / _MULTIPLY_ADDS
        cycles = max(moved_bytes(problem) / BYTES, multiplying)
        return START / 2 + cycles / cores(info)

    def _product(self, task: Task) -> Launch:
        problem = task.problem
        a, b, width = problem.a, problem.b, _width(problem)
        left, right = task.sides
        spec = KernelSpec.of(
            gemv,
            rows=1 << (problem.rows - 1).bit_length(),
            streams=self.streams,
            team=self.team,
            left=attrs.evolve(left, lanes=min(width, 4)),
            right=attrs.evolve(right, lanes=width),
            finish=task.finish,
            workgroup=WORKGROUP,
            subgroup=self.subgroup,
        )
        values = (problem.rows, problem.columns, problem.length, a.stride, b.stride)
        groups = grid(-(-problem.columns // (self.streams * (WORKGROUP // self.team))))
        return product_launch(task, spec, (a.tensor, b.tensor), values, groups=groups, flops=problem.flops)


def _few_rows(problem: Problem) -> Problem | None:
    """Returns the product with the few rows on the left, if one side has few and both are read along the sum."""
    if problem.count > 1 or {problem.a.along, problem.b.along} != {"inner"}:
        return None
    if problem.rows <= MOST_ROWS:
        return problem
    return problem.swapped if problem.columns == 1 else None


def _width(problem: Problem) -> int:
    """How many elements of the matrix on the right are read at once."""
    able = widths(stored_dtype(problem.b.tensor).value) if problem.a.aligned(4) else (1,)
    return next(width for width in able if problem.b.aligned(width))


def variants(task: Task, info: DeviceInfo) -> list[Variant]:
    """Returns the ways to compute a product on a device that may be the fastest, the one that the rule picks first."""
    limits = info.limits
    able = [
        name
        for name, tile in TILES.items()
        if tile.shared_bytes <= limits.shared_memory
        and tile.invocations <= min(limits.max_workgroup_invocations, limits.max_workgroup_size[0])
    ]
    found: list[Variant] = []
    for name in able:
        divided = [Tiled(name, parts, not info.software) for parts in divisions(task.problem.length)]
        found += sorted(divided, key=lambda variant: variant.cycles(task.problem, info))[:_MEASURED]
    found += [*coop_variants(task, info), *tensor_variants(task, info)]
    found += Streamed.all_of(task, info)
    cycles = {variant: variant.cycles(task.problem, info) for variant in found}
    least = min(cycles.values())
    return sorted((one for one in found if cycles[one] <= _WORTH_MEASURING * least), key=cycles.__getitem__)
