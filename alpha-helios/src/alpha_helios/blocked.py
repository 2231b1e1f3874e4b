"""Products in blocks of the result, one for each workgroup: what all the kernels that compute so have in common."""

from abc import ABC, abstractmethod

import attrs

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.storage import stored_dtype
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.matmul import add_parts
from alpha_helios.kernels.tile import Side
from alpha_helios.product import Epilogue, Matrix, Problem, Task, finished, product_launch
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["BYTES", "LARGE", "START", "WORKGROUP", "Blocked", "Variant", "cores", "divisions", "moved_bytes"]

_CORES = {"discrete": 96, "integrated": 8, "cpu": 2}
"""Vulkan does not say how many processors a device has: a guess by its kind."""
_SOME_CORES = 32
"""Of a device of another kind."""
START = 1500.0
"""Cycles until a workgroup multiplies: its first block comes from memory."""
_LAUNCH = 4000.0
"""Cycles of another launch that waits for the one before."""
BYTES = 20.0
"""From memory, of a processor in a cycle."""
LARGE = 0.3
"""What is left of the rate of a tile with more than a device has registers for, or than its compiler is quick with."""
_LEAST_STEPS = 256
"""Of a part of a sum."""
_MOST_PARTS = 32
WORKGROUP = 128
"""Invocations of a workgroup that adds parts or reads few rows of a matrix; every device has so many."""


class Variant(ABC):
    """One way to compute a product. Its text names it in tuning results."""

    @abstractmethod
    def launches(self, task: Task) -> list[Launch]:
        """Returns the launches; the last one writes the result, and can be extended."""

    @abstractmethod
    def cycles(self, problem: Problem, info: DeviceInfo) -> float:
        """Returns about how long it takes."""

    def reads(self, problem: Problem, usual: Problem) -> bool:
        """Whether operands may lie as in `problem`, for the bits that contiguous ones, those of `usual`, give."""
        return True


class Blocked(Variant):
    """Blocks of the result; each sum in one part or in several, which are added at the end."""

    parts: int

    @property
    @abstractmethod
    def block(self) -> tuple[int, int, int]:
        """Rows and columns of a block, and the steps of a sum that are done together."""

    @abstractmethod
    def rate(self, info: DeviceInfo) -> float:
        """Returns how many multiply-adds a processor does in a cycle."""

    @abstractmethod
    def spec(self, task: Task, left: Side, right: Side) -> KernelSpec:
        """Returns the kernel for operands that lie so; it takes the arguments of `kernels.block.Block`."""

    def launches(self, task: Task) -> list[Launch]:
        if self.parts == 1:
            return [finished(task, self._product)]
        problem = task.problem
        scratch = task.empty((self.parts, problem.count, problem.rows, problem.columns), DType.f32)
        part = attrs.evolve(task, out=scratch, add=False, epilogue=Epilogue())
        return [self._product(part), finished(task, lambda wanted: _sum_of_parts(wanted, scratch, self.parts))]

    def cycles(self, problem: Problem, info: DeviceInfo) -> float:
        rows, columns, depth = self.block
        each = rows * columns * _part_steps(problem.length, self.parts, depth) / self.rate(info)
        cycles = max(-(-self._blocks(problem) // cores(info)) * each, moved_bytes(problem) / (BYTES * cores(info)))
        cycles += START
        if self.parts > 1:
            partial = 4.0 * problem.count * problem.rows * problem.columns * self.parts
            cycles += _LAUNCH + 2 * partial / (BYTES * cores(info))
        return cycles

    def _blocks(self, problem: Problem) -> int:
        rows, columns, _ = self.block
        return -(-problem.rows // rows) * -(-problem.columns // columns) * problem.count * self.parts

    def _product(self, task: Task) -> Launch:
        problem = task.problem
        a, b = problem.a, problem.b
        rows, columns, depth = self.block
        left, right = (
            attrs.evolve(side, near=_near(matrix, lines, depth))
            for side, matrix, lines in zip(task.sides, (a, b), (rows, columns), strict=True)
        )
        steps = _part_steps(problem.length, self.parts, depth)
        values = (
            *(problem.rows, problem.columns, problem.length, problem.count, problem.batch[1], self.parts, steps),
            *(a.stride, *a.batch_strides, b.stride, *b.batch_strides),
        )
        spec, groups = self.spec(task, left, right), grid(self._blocks(problem))
        return product_launch(task, spec, (a.tensor, b.tensor), values, groups=groups, flops=problem.flops)


def cores(info: DeviceInfo) -> int:
    """Returns about how many processors a device has."""
    return _CORES.get(info.kind, _SOME_CORES)


def moved_bytes(problem: Problem) -> float:
    """Returns the size of the operands and the result."""
    a, b = problem.a, problem.b
    read = sum(x.lines * x.inner * stored_dtype(x.tensor).itemsize for x in (a, b))
    return problem.count * (read + 4.0 * problem.rows * problem.columns)


def divisions(length: int) -> list[int]:
    """Returns into how many parts sums of a length can be divided."""
    most = min(max(length // _LEAST_STEPS, 1), _MOST_PARTS)
    return [1 << power for power in range(most.bit_length())]


def _near(matrix: Matrix, lines: int, depth: int) -> bool:
    """Whether what a workgroup reads of an operand for a block lies within 2 GiB."""
    jumps, neighbours = (lines, depth) if matrix.along == "inner" else (depth, lines)
    return matrix.stride >= 0 and 8 * (jumps * matrix.stride + neighbours) < 1 << 31


def _part_steps(length: int, parts: int, depth: int) -> int:
    """How many steps a part has: whole blocks, but for the last part."""
    return -(-length // (parts * depth)) * depth


def _sum_of_parts(task: Task, scratch: Tensor, parts: int) -> Launch:
    size, columns, lanes = task.out.size, task.problem.columns, task.lanes
    spec = KernelSpec.of(add_parts, finish=task.finish, lanes=lanes, workgroup=WORKGROUP)
    groups = grid(-(-size // (lanes * WORKGROUP)))
    return product_launch(
        task, spec, (scratch,), (size, columns, parts), groups=groups, flops=float(size * (parts - 1))
    )
