"""The kernels that compute a matrix product, and the rule that picks one from the sizes and the device."""

import math
from abc import ABC, abstractmethod

import attrs

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.gemv import MOST_ROWS, gemv, widths
from alpha_helios.kernels.matmul import add_parts, gemm
from alpha_helios.kernels.tile import TILES
from alpha_helios.product import Epilogue, Matrix, Problem, Task, finished, product_launch
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["Streamed", "Tiled", "Variant", "variants"]

_CORES = {"discrete": 96, "integrated": 8, "cpu": 2}
"""Vulkan does not say how many processors a device has: a guess by its kind."""
_SOME_CORES = 32
"""Of a device of another kind."""
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
_SPILLED = 0.3
"""What is left of the efficiency of a tile with more."""
_START = 1500.0
"""Cycles until a workgroup multiplies: its first block comes from memory."""
_LAUNCH = 4000.0
"""Cycles of another launch that waits for the one before."""
_BYTES = 20.0
"""From memory, of a processor in a cycle."""
_LEAST_STEPS = 256
"""Of a part of a sum."""
_MOST_PARTS = 32
_WORTH_MEASURING = 2.0
"""How much longer than the best one a variant may take by the rule; it would have to err by more."""
_MEASURED = 2
"""Numbers of parts that are measured for each tile when the device is tuned."""
_WORKGROUP = 128
"""Invocations of a workgroup that adds parts or reads few rows of a matrix; every device has so many."""
_TEAM = 32
"""Invocations that share a row where the size of subgroups is not known."""
_MOST_SUMS = 32
"""That an invocation holds in registers beside what it reads."""
_TEAMS_WANTED = 16
"""For each processor, so that enough reads are under way."""


class Variant(ABC):
    """One way to compute a product. Its text names it in tuning results."""

    @abstractmethod
    def launches(self, task: Task) -> list[Launch]:
        """Returns the launches; the last one writes the result, and can be extended."""

    @abstractmethod
    def cycles(self, problem: Problem, info: DeviceInfo) -> float:
        """Returns about how long it takes."""


@attrs.frozen
class Tiled(Variant):
    """Blocks of the result, one for each workgroup; each sum in one part or in several, which are added at the end."""

    tile: str
    parts: int = 1

    def __str__(self) -> str:
        return self.tile if self.parts == 1 else f"{self.tile} in {self.parts} parts"

    def launches(self, task: Task) -> list[Launch]:
        if self.parts == 1:
            return [finished(task, self._product)]
        problem = task.problem
        scratch = task.empty((self.parts, problem.count, problem.rows, problem.columns), DType.f32)
        part = attrs.evolve(task, out=scratch, add=False, epilogue=Epilogue())
        return [self._product(part), finished(task, lambda wanted: _sum_of_parts(wanted, scratch, self.parts))]

    def cycles(self, problem: Problem, info: DeviceInfo) -> float:
        tile, cores = TILES[self.tile], _CORES.get(info.kind, _SOME_CORES)
        tiles = -(-problem.rows // tile.rows) * -(-problem.columns // tile.columns) * problem.count * self.parts
        steps = _part_steps(problem.length, self.parts, tile.depth)
        spills = tile.high * tile.wide > _SPILLING.get(info.vendor_id, math.inf)
        efficiency = _EFFICIENCY[self.tile] * (_SPILLED if spills else 1)
        each = tile.rows * tile.columns * steps / (_MULTIPLY_ADDS * efficiency)
        cycles = max(-(-tiles // cores) * each, _nbytes(problem) / (_BYTES * cores)) + _START
        if self.parts > 1:
            partial = 4.0 * problem.count * problem.rows * problem.columns * self.parts
            cycles += _LAUNCH + 2 * partial / (_BYTES * cores)
        return cycles

    def _product(self, task: Task) -> Launch:
        problem, tile = task.problem, TILES[self.tile]
        left, right = (
            attrs.evolve(side, near=_near(matrix, lines, tile.depth))
            for side, matrix, lines in zip(task.sides, (problem.a, problem.b), (tile.rows, tile.columns), strict=True)
        )
        steps = _part_steps(problem.length, self.parts, tile.depth)
        spec = KernelSpec.of(
            gemm,
            tile=self.tile,
            left=left,
            right=right,
            finish=task.finish,
            lanes=task.lanes,
            ragged=problem.length % tile.depth > 0,
            parts=self.parts > 1,
            workgroup=tile.invocations,
        )
        a, b = problem.a, problem.b
        values = (
            *(problem.rows, problem.columns, problem.length, problem.count, problem.batch[1], self.parts, steps),
            *(a.stride, *a.batch_strides, b.stride, *b.batch_strides),
        )
        tiles = -(-problem.rows // tile.rows) * -(-problem.columns // tile.columns)
        groups = grid(tiles * problem.count * self.parts)
        return product_launch(task, spec, (a.tensor, b.tensor), values, groups=groups, flops=problem.flops)


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
        enough = _CORES.get(info.kind, _SOME_CORES) * _TEAMS_WANTED
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

    def cycles(self, problem: Problem, info: DeviceInfo) -> float:
        multiplying = 2.0 * problem.rows * problem.columns * problem.length / _MULTIPLY_ADDS
        cycles = max(_nbytes(problem) / _BYTES, multiplying)
        return _START / 2 + cycles / _CORES.get(info.kind, _SOME_CORES)

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
            workgroup=_WORKGROUP,
            subgroup=self.subgroup,
        )
        values = (problem.rows, problem.columns, problem.length, a.stride, b.stride)
        groups = grid(-(-problem.columns // (self.streams * (_WORKGROUP // self.team))))
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


def _near(matrix: Matrix, lines: int, depth: int) -> bool:
    """Whether what a tile reads of an operand for a block lies within 2 GiB."""
    jumps, neighbours = (lines, depth) if matrix.along == "inner" else (depth, lines)
    return matrix.stride >= 0 and 8 * (jumps * matrix.stride + neighbours) < 1 << 31


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
        divided = [Tiled(name, parts) for parts in _divisions(task.problem.length)]
        found += sorted(divided, key=lambda variant: variant.cycles(task.problem, info))[:_MEASURED]
    found += Streamed.all_of(task, info)
    cycles = {variant: variant.cycles(task.problem, info) for variant in found}
    least = min(cycles.values())
    return sorted((one for one in found if cycles[one] <= _WORTH_MEASURING * least), key=cycles.__getitem__)


def _nbytes(problem: Problem) -> float:
    """Of the operands and the result."""
    a, b = problem.a, problem.b
    read = sum(x.lines * x.inner * stored_dtype(x.tensor).itemsize for x in (a, b))
    return problem.count * (read + 4.0 * problem.rows * problem.columns)


def _divisions(length: int) -> list[int]:
    """Into how many parts sums of a length can be divided."""
    most = min(max(length // _LEAST_STEPS, 1), _MOST_PARTS)
    return [1 << power for power in range(most.bit_length())]


def _part_steps(length: int, parts: int, depth: int) -> int:
    """How many steps a part has: whole blocks, but for the last part."""
    return -(-length // (parts * depth)) * depth


def _sum_of_parts(task: Task, scratch: Tensor, parts: int) -> Launch:
    size, columns, lanes = task.out.size, task.problem.columns, task.lanes
    spec = KernelSpec.of(add_parts, finish=task.finish, lanes=lanes, workgroup=_WORKGROUP)
    groups = grid(-(-size // (lanes * _WORKGROUP)))
    return product_launch(
        task, spec, (scratch,), (size, columns, parts), groups=groups, flops=float(size * (parts - 1))
    )
