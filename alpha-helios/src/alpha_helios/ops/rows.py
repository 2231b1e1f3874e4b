"""How kernels on rows are started: the invocations of a row, the vectors they load, and where rows are."""

import math
from collections.abc import Callable, Sequence

import attrs

from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.layout import collapse
from alpha_core.recording.storage import stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.rows import ROW_AXES
from alpha_helios.ops.reduction import ReductionKernels
from alpha_helios.vulkan.device_info import DeviceInfo

__all__ = ["RowKernels", "RowTeams", "row_lanes", "row_places", "row_teams", "stored_as"]

_WORKGROUP = 128
"""Invocations of a workgroup that takes several rows."""
_WORKGROUPS = (64, 128, 256, 512)
"""Invocations of a workgroup that takes one row at a time."""
_CHUNKS_WANTED = 4
"""Vectors of an invocation, where a whole workgroup takes a row."""


@attrs.frozen
class RowTeams:
    """How invocations are divided among rows."""

    workgroup: int
    team: int
    """Invocations of a row."""
    lanes: int
    """Elements of a vector."""
    chunks: int
    """Vectors that an invocation holds in registers; 0 where a row does not fit."""
    subgroup: int | None

    @property
    def count(self) -> int:
        """Rows that a workgroup has at once."""
        return self.workgroup // self.team

    def spec(self, build: Callable[..., None], **parameters: object) -> KernelSpec:
        """Returns a kernel with these teams; one that can hold rows takes `chunks` as a parameter as well."""
        return KernelSpec.of(
            build,
            workgroup=self.workgroup,
            subgroup=self.subgroup,
            team=self.team,
            lanes=self.lanes,
            **parameters,
        )

    def grid(self, rows: int) -> tuple[int, int, int]:
        """Returns the workgroups for so many rows."""
        return grid(-(-rows // self.count))


class RowKernels(ReductionKernels):
    """Launches a kernel with the best way to divide rows."""

    def _launch_rows(
        self, what: str, rows: int, width: int, ways: Sequence[RowTeams], make: Callable[[RowTeams], Launch]
    ) -> Launch:
        """Launches what `make` gives for one of the ways, which the tuner chooses; `what` names the kernel."""
        teams = self.tuner.choose(f"{what} {rows}x{width}", ways, lambda one: [make(one)])
        made = make(teams)
        self.launch(
            made.spec, writes=made.writes, reads=made.reads, values=made.values, flops=made.flops, groups=made.groups
        )
        return made


def row_teams(info: DeviceInfo, width: int, lanes: int, most_held: int) -> list[RowTeams]:
    """Returns ways to divide rows of `width` elements, the one to take by rule first.

    An invocation holds up to `most_held` elements of each array that a kernel keeps. By rule a subgroup or less takes a
    row that it can hold, else a workgroup does. All ways keep rows in registers, or none does.
    """
    vectors, most = width // lanes, most_held // lanes
    found: list[RowTeams] = []
    if "subgroupSizeControl" in info.features and vectors <= info.subgroup_size * most:
        team = min(info.subgroup_size, _power_of_2(vectors))
        found.append(RowTeams(_WORKGROUP, team, lanes, -(-vectors // team), info.subgroup_size))
    sizes = [size for size in _WORKGROUPS if size <= info.limits.max_workgroup_invocations]
    wanted = -(-vectors // min(most, _CHUNKS_WANTED))
    by_rule = next((size for size in sizes if size >= wanted), sizes[-1])
    for size in (by_rule, *(size for size in sizes if size != by_rule and size < 2 * vectors)):
        chunks = -(-vectors // size)
        found.append(RowTeams(size, size, lanes, chunks if chunks <= most else 0, None))
    return [teams for teams in found if (teams.chunks > 0) == (found[0].chunks > 0)]


def row_lanes(width: int, *tensors: Tensor) -> int:
    """Returns how many neighbours of a row a kernel may load and store at once: 4, 2 or 1.

    Rows may stand anywhere (see `row_places`) but have no gaps, and a tensor of one axis has a single row.
    """

    places: list[int] = []
    for tensor in tensors:
        view = view_of(tensor)
        places.append(view.offset)
        places += (step for step, length in zip(view.strides[:-1], tensor.shape, strict=False) if length > 1)
    return math.gcd(4, width, *places)


def row_places(
    tensors: Sequence[Tensor], copied: Callable[[Tensor], Tensor]
) -> tuple[list[Tensor], bool, list[list[int]]]:
    """Returns tensors in which a kernel finds the rows, whether by several strides, and for each the kernel's numbers.

    `copied` makes a contiguous copy of a tensor whose rows stand in too many ways.
    """
    found = [tensor if _row_axes(tensor) else copied(tensor) for tensor in tensors]
    axes = [_row_axes(tensor) for tensor in found]
    strided = any(len(of_one) > 1 for of_one in axes)
    places: list[list[int]] = []
    for (_, outermost), *inner in axes:
        numbers: list[int] = []
        if strided:
            missing = ROW_AXES - 1 - len(inner)
            numbers += [*(length for length, _ in reversed(inner)), *(1,) * missing]
            numbers += [*(stride for _, stride in reversed(inner)), *(0,) * missing]
        places.append([*numbers, outermost])
    return found, strided, places


def stored_as(tensor: Tensor) -> str:
    """Returns the name of what a tensor's elements are kept as."""
    return stored_dtype(tensor).value


def _row_axes(x: Tensor) -> list[tuple[int, int]]:
    """Returns the length and stride of each axis along which the rows of x stand; none if it must be copied."""
    strides = view_of(x).strides
    if x.shape[-1] > 1 and strides[-1] != 1:
        return []
    lengths, (steps,) = collapse(x.shape[:-1], [strides[:-1]])
    # Rows that begin elsewhere between vectors than those of a contiguous tensor would be added up in another order.
    starts = [view_of(x).offset, *(step for step, length in zip(steps, lengths, strict=True) if length > 1)]
    if any(start % math.gcd(4, x.shape[-1]) for start in starts):
        return []
    return list(zip(lengths, steps, strict=True)) if len(lengths) <= ROW_AXES else []


def _power_of_2(least: int) -> int:
    """Returns the smallest power of 2 that is at least so large."""
    return 1 << (least - 1).bit_length()
