"""Products by matrices of a workgroup, of NV_cooperative_matrix2: what a device offers, and the kernels that use it."""

import attrs

from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.storage import stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.blocked import Blocked, divisions
from alpha_helios.coop import BY_ELEMENT, component_features, in_groups
from alpha_helios.kernels.finish import Finish
from alpha_helios.kernels.matmul_coop2 import TENSOR_TILES, TensorTile, gemm_coop2
from alpha_helios.kernels.tile import Side
from alpha_helios.product import Matrix, Problem, Task
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["TENSOR_FEATURES", "TensorTiled", "tensor_variants"]

TENSOR_FEATURES = (
    "cooperativeMatrixWorkgroupScope",
    "cooperativeMatrixFlexibleDimensions",
    "cooperativeMatrixTensorAddressing",
    BY_ELEMENT,
)
"""What the kernels need beside `coop.FEATURES`."""
_MULTIPLY_ADDS = 1024
"""Of a processor in a cycle; see `coop`."""
_EFFICIENCY = {"128x256x64": 0.85, "128x128x64": 0.8, "128x64x64": 0.6, "64x64x64": 0.5}
"""What share of that a tile reaches, beside reading memory: estimates."""
_MEASURED = 2
"""Numbers of parts that are measured for each tile when the device is tuned."""
_NEAR = 1 << 31
"""Bytes that the numbers of a tensor's layout reach."""
_ALIGNED = 16
"""Bytes: tensors that the device loads and stores begin at multiples of so many (SPV_NV_cooperative_matrix2)."""


@attrs.frozen
class TensorTiled(Blocked):
    """The device brings operands from memory itself; they are stored in 16 bits."""

    tile: str
    halves: bool
    """Whether it can store sums of this kind in f16 at once."""
    subgroup: int
    parts: int = 1

    def __str__(self) -> str:
        name = f"coop2 {self.tile} of a workgroup"
        return name if self.parts == 1 else f"{name} in {self.parts} parts"

    def reads(self, problem: Problem, usual: Problem) -> bool:
        return _are_tensors(problem)

    @property
    def block(self) -> tuple[int, int, int]:
        tile = TENSOR_TILES[self.tile]
        return tile.rows, tile.columns, tile.depth

    def rate(self, info: DeviceInfo) -> float:
        return _MULTIPLY_ADDS * _EFFICIENCY[self.tile]

    def launches(self, task: Task) -> list[Launch]:
        *first, last = super().launches(task)
        into = last.into
        if self.parts > 1 or into is None:
            return [*first, last]

        def added(destination: Tensor) -> Launch | None:
            """Adds whole blocks or nothing: a function that the device calls for each element may be called again."""
            return into(destination) if self._whole(attrs.evolve(task, out=destination, add=True)) else None

        return [*first, attrs.evolve(last, into=added)]

    def _whole(self, task: Task) -> bool:
        """Whether nothing is done with sums but rounding, and adding in f32, and blocks can be stored at once."""
        finish, problem = task.finish, task.problem
        if finish != Finish(finish.out, add=finish.add, product=finish.product):
            return False
        able = ("f32", "f16") if self.halves and not finish.add else ("f32",)
        exact = finish.add or finish.product in ("f32", finish.out)
        step = problem.rows * problem.columns if problem.count * self.parts > 1 else 0
        return exact and finish.out in able and _begins_aligned(task.out, step)

    def spec(self, task: Task, left: Side, right: Side) -> KernelSpec:
        tile, problem, finish = TENSOR_TILES[self.tile], task.problem, task.finish
        edges = zip((problem.rows, problem.columns, problem.length), self.block, strict=True)
        return KernelSpec.of(
            gemm_coop2,
            tile=self.tile,
            left=in_groups(left, problem.a, task.rounded),
            right=in_groups(right, problem.b, task.rounded),
            finish=finish,
            clamped=any(length % size for length, size in edges),
            whole=self._whole(task),
            parts=self.parts > 1,
            workgroup=tile.invocations,
            subgroup=self.subgroup,
        )


def _are_tensors(problem: Problem) -> bool:
    """Whether layouts can say where operands and the result lie."""
    operands = all(_is_tensor(matrix, problem.batch) for matrix in (problem.a, problem.b))
    return operands and 4 * problem.rows * problem.columns < _NEAR


def tensor_variants(task: Task, info: DeviceInfo) -> list[Blocked]:
    """Returns the ways to compute a product so; none where operands are not stored in what they are rounded to."""
    problem, dtype = task.problem, task.rounded
    stored = {stored_dtype(matrix.tensor).value for matrix in (problem.a, problem.b)}
    if dtype == "f32" or stored != {dtype}:
        return []
    if not {*TENSOR_FEATURES, *component_features(dtype)} <= info.features:
        return []
    if not _are_tensors(problem):
        return []
    found: list[Blocked] = []
    for name, tile in TENSOR_TILES.items():
        if not _offered(tile, dtype, "f32", info):
            continue
        halves = _offered(tile, dtype, "f16", info)
        divided = [TensorTiled(name, halves, info.subgroup_size, parts) for parts in divisions(problem.length)]
        found += sorted(divided, key=lambda variant: variant.cycles(problem, info))[:_MEASURED]
    return found


def _offered(tile: TensorTile, dtype: str, total: str, info: DeviceInfo) -> bool:
    """Whether workgroups of a device multiply such matrices."""
    return max(tile.rows, tile.columns, tile.depth) <= info.flexible_max_dimension and any(
        (shape.a, shape.b, shape.c, shape.result) == (dtype, dtype, total, total)
        and (shape.scope, shape.workgroup_invocations) == ("workgroup", tile.invocations)
        and not (tile.rows % shape.m or tile.columns % shape.n or tile.depth % shape.k)
        for shape in info.flexible_shapes
    )


def _is_tensor(matrix: Matrix, batch: tuple[int, int]) -> bool:
    """Whether a matrix lies within 2 GiB, row behind row, and those of a batch begin where the device can read them."""
    rows, length = (matrix.lines, matrix.inner) if matrix.along == "inner" else (matrix.inner, matrix.lines)
    apart = rows == 1 or matrix.stride >= length  # SPV_NV_tensor_addressing asks for it
    steps = (stride for stride, count in zip(matrix.batch_strides, batch, strict=True) if count > 1)
    return apart and _begins_aligned(matrix.tensor, *steps) and 2 * rows * max(matrix.stride, 1) < _NEAR


def _begins_aligned(tensor: Tensor, *steps: int) -> bool:
    """Whether a tensor, and what lies `steps` elements further again and again, begins at multiples of 16 bytes."""
    size = stored_dtype(tensor).itemsize
    return all(place * size % _ALIGNED == 0 for place in (view_of(tensor).offset, *steps))
