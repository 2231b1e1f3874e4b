"""Reductions: one group of neighbouring axes after the other, in blocks where rows or columns are few and long."""

import math
from collections.abc import Sequence

import attrs

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.layout import reshape_strides
from alpha_core.recording.storage import View, row_major, stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.reduce import SQUARES_BLOCK, reduce_columns, reduce_rows, squares, total
from alpha_helios.ops.extent import WORKGROUP
from alpha_helios.ops.movement import MovementKernels

__all__ = ["ReductionKernels"]

_ENOUGH = 1024  # workgroups that keep every device busy
_LEAST_IN_ROW = 4096  # elements of a block of a row
_LEAST_IN_COLUMN = 64  # elements of a block of a column
_ALONG = 4  # loads of one invocation that make up for what combining invocations costs
_MOST_ALONE = 256  # invocations that combine numbers within the shared memory that every device has,
_MOST_IN_SUBGROUPS = 1024  # and where the size of subgroups is known
_MOST_TENSORS = (1, 4, 16, 64)  # whose squares one kernel adds up


@attrs.frozen
class _Plan:
    """How an axis is reduced."""

    spec: KernelSpec
    blocks: int
    limit: int
    """The length of a block."""
    groups: tuple[int, int, int]
    sizes: tuple[int, ...]
    """What the kernel is told of the tensor."""


class ReductionKernels(MovementKernels):
    def _reduced_axis(self, op: str, x: Tensor, shape: tuple[int, int, int], scale: float) -> Tensor:
        """Reduces the middle one of three axes; the result has the other two, contiguous."""
        before, length, after = shape
        strides = reshape_strides(x.shape, view_of(x).strides, shape)
        if (
            strides is None
            or strides[2 if after > 1 else 1] not in ((1,) if max(after, length) > 1 else (0, 1))
            or not _is_aligned(shape, strides, view_of(x).offset)
        ):
            x, strides = self._copied(x), row_major(shape)
        view = view_of(x)
        source = Tensor(shape, x.dtype, View(view.buffer, strides, view.offset, view.stored))
        plan = self._row_plan(op, source, strides) if after == 1 else self._column_plan(op, source, strides)
        whole = plan.blocks == 1
        out = self.empty((before, plan.blocks, after), x.dtype)
        values = (*plan.sizes, plan.blocks, plan.limit, float(scale if whole else 1.0))
        flops = float(source.size)

        def into(destination: Tensor) -> Launch | None:
            if stored_dtype(destination) is not DType.f32 or view_of(destination).offset % 4:
                return None
            adding = KernelSpec.of(plan.spec.build, **{**dict(plan.spec.parameters), "accumulate": True})
            return Launch(adding, (), (destination,), (source,), values, flops, plan.groups, accumulates=True)

        self.launch(
            plan.spec,
            writes=[out],
            reads=[source],
            values=values,
            groups=plan.groups,
            flops=flops,
            into=into if whole and op == "sum" else None,
        )
        if whole:
            return out
        return self._reduced_axis("min" if op == "finite" else op, out, (before, plan.blocks, after), scale)

    def _row_plan(self, op: str, x: Tensor, strides: tuple[int, ...]) -> "_Plan":
        """Says how rows are reduced: by teams, long ones in blocks where there are few."""
        rows, length, _ = x.shape
        lanes = math.gcd(4, length)
        blocks, limit = _blocks(rows, length, _LEAST_IN_ROW)
        team = min(WORKGROUP, 1 << max(0, -(-limit // (lanes * _ALONG)) - 1).bit_length())
        spec = KernelSpec.of(
            reduce_rows,
            op=op,
            stored=stored_dtype(x).value,
            lanes=lanes,
            team=team,
            accumulate=False,
            workgroup=WORKGROUP,
            subgroup=self._subgroup,
        )
        groups = grid(-(-rows * blocks // (WORKGROUP // team)))
        return _Plan(spec, blocks, limit, groups, (rows, length, strides[0]))

    def _column_plan(self, op: str, x: Tensor, strides: tuple[int, ...]) -> "_Plan":
        """Says how columns are reduced: neighbours together, long ones in blocks where there are few."""
        before, length, after = x.shape
        lanes = math.gcd(4, after)
        across = min(32, max(4, 1 << (-(-after // lanes) - 1).bit_length()))
        columns = -(-after // (across * lanes))
        blocks, limit = _blocks(before * columns, length, _LEAST_IN_COLUMN)
        spec = KernelSpec.of(
            reduce_columns,
            op=op,
            stored=stored_dtype(x).value,
            lanes=lanes,
            accumulate=False,
            workgroup=(across, WORKGROUP // across, 1),
        )
        groups = grid(before * blocks * columns)
        return _Plan(spec, blocks, limit, groups, (before, length, after, *strides[:2]))

    def _alone(self, width: int) -> int:
        """Returns the size of a workgroup that goes through so many elements by itself."""
        limits, most = self.info.limits, _MOST_ALONE
        if self._subgroup is not None:
            most = min(_MOST_IN_SUBGROUPS, self._subgroup * limits.max_workgroup_subgroups)
        most = min(most, limits.max_workgroup_invocations)
        return min(1 << most.bit_length() - 1, max(WORKGROUP, 1 << (width // 8).bit_length()))

    @property
    def _subgroup(self) -> int | None:
        """The size of subgroups where kernels may ask for it: combining numbers then takes less memory and time."""
        size, limits = self.info.subgroup_size, self.info.limits
        able = "subgroupSizeControl" in self.info.features and size * limits.max_workgroup_subgroups >= WORKGROUP
        return size if able else None

    def _squares(self, tensors: Sequence[Tensor], root: bool) -> Tensor:
        """Adds up squares of many tensors in few launches."""
        given = [self.contiguous(tensor) for tensor in tensors if tensor.size]
        given.sort(key=lambda tensor: stored_dtype(tensor).value)
        counts = [-(-tensor.size // SQUARES_BLOCK) for tensor in given]
        blocks = sum(counts)
        partial = self.empty((3, blocks))
        first = 0
        while first < len(given):
            stored = stored_dtype(given[first])
            alike = sum(stored_dtype(tensor) is stored for tensor in given[first:])
            some = given[first : first + min(alike, _MOST_TENSORS[-1])]
            padding = next(most for most in _MOST_TENSORS if most >= len(some)) - len(some)
            self.launch(
                KernelSpec.of(
                    squares,
                    stored=stored.value,
                    lanes=math.gcd(4, *(view_of(tensor).offset for tensor in some)),
                    count=len(some) + padding,
                    workgroup=WORKGROUP,
                    subgroup=self._subgroup,
                ),
                writes=[partial] if first == 0 else [],
                updates=[partial] if first else [],
                reads=[*some, *some[:1] * padding],
                values=[sum(counts[:first]), blocks, *(tensor.size for tensor in some), *(0,) * padding],
                groups=grid(sum(counts[first : first + len(some)])),
                flops=2.0 * sum(tensor.size for tensor in some),
            )
            first += len(some)
        out = self.empty(())
        self.launch(
            KernelSpec.of(total, root=root, workgroup=self._alone(blocks), subgroup=self._subgroup),
            writes=[out],
            reads=[partial],
            values=[blocks],
        )
        return out


def _is_aligned(shape: tuple[int, int, int], strides: Sequence[int], offset: int) -> bool:
    """Whether vectors begin where those of a contiguous tensor would, so that all is added up in the same order."""
    before, length, after = shape
    lanes = math.gcd(4, length if after == 1 else after)
    steps = [step for step, count in zip(strides, (before, 1 if after == 1 else length), strict=False) if count > 1]
    return all(place % lanes == 0 for place in (offset, *steps))


def _blocks(items: int, length: int, least: int) -> tuple[int, int]:
    """Returns into how many blocks of which length something long is divided that there are few of."""
    wanted = min(-(-_ENOUGH // items), length // least) if length >= 2 * least else 1
    if wanted <= 1:
        return 1, length
    limit = -(-length // (wanted * 4)) * 4  # whole vectors
    return -(-length // limit), limit
