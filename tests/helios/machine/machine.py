"""Runs kernels: all invocations of some workgroups at once, each instruction for all of them.

Source: the SPIR-V specification 1.6. Control flow is structured, so that every branch meets again where its header
says: masks of the invocations that take a side are carried along, and those that leave a loop wait at its end. What a
workgroup does is therefore in lockstep here, which no device promises; what that could hide is found by
`memory.Shared`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# The tables of instructions fill themselves when they are imported.
from tests.helios.machine import instructions, matrices, pointers, subgroups, tensors
from tests.helios.machine.memory import Buffers, Clock, Shared
from tests.helios.machine.program import Block, Function, Program, described, operands
from tests.helios.machine.values import ArrayType, MachineError, Mask, Scalar, nothing, scalar_of

__all__ = ["Frame", "run_groups"]

_TABLES = (instructions, pointers, matrices, subgroups, tensors)
_MOST_INVOCATIONS = 4096
"""That run at once: for more, numpy's arrays leave the caches."""


class Cell:
    """A variable of each invocation, or a matrix of each team."""

    __slots__ = ("data", "type")

    def __init__(self, type_: Any, frame: "Frame") -> None:
        self.type = type_
        self.data: Any = None
        if isinstance(type_, ArrayType):
            scalar, lanes = scalar_of(type_.element)
            assert type_.count is not None
            self.data = nothing(scalar, (frame.count, type_.count * max(lanes, 1)))
        elif not hasattr(type_, "rows"):
            scalar, lanes = scalar_of(type_)
            self.data = nothing(scalar, (lanes,) if lanes else ())


class Frame:
    """What a function knows while it runs: values by id, memory, and who the invocations are."""

    def __init__(self, program: Program, buffers: Buffers, count: int) -> None:
        self.program, self.buffers, self.count = program, buffers, count
        self.v: list[Any] = [None] * program.bound
        for id_, value in program.constants.items():
            self.v[id_] = value
        self.result: Any = None
        self.push = b""
        self.groups = 1
        self.subgroup = 0
        """Invocations of a subgroup; 0 in functions of one element, where nothing is done together."""
        self.present: npt.NDArray[np.bool_] = np.ones(count, np.bool_)
        self.group_of: Any = np.zeros(count, np.int64)
        self.shared: dict[int, Shared] = {}
        self.clock = Clock(np.zeros(0, np.int64), np.zeros(0, np.int64))

    # Who runs together

    def team_size(self, scope: str) -> int:
        if not self.subgroup:
            raise MachineError("invocations do nothing together in a function of one element")
        return self.subgroup if scope == "subgroup" else self.count // self.groups

    def teams(self, mask: Mask, scope: str) -> npt.NDArray[np.bool_]:
        """Returns which subgroups or workgroups are active; of these all invocations must be."""
        size = self.team_size(scope)
        active, present = mask.lanes.reshape(-1, size), self.present.reshape(-1, size)
        some = active.any(1)
        if not (active == present)[some].all():
            raise MachineError(f"in divergent control flow: some invocations of a {scope} are elsewhere")
        return np.asarray(some)

    def same(self, value: Any, mask: Mask, scope: str) -> Any:
        """Returns a scalar for each subgroup or workgroup, in which all must have the same one."""
        size = self.team_size(scope)
        value = np.asarray(value)
        if value.ndim == 0:
            return np.broadcast_to(value, (self.count // size,))
        apart = value.reshape(-1, size)
        differs = (apart != apart[:, :1]) & mask.lanes.reshape(-1, size)
        if differs.any() and not _both_nan(apart, differs):
            raise MachineError(f"an operand that differs among the invocations of a {scope}")
        return apart[:, 0]

    def each(self, value: Any, lanes: int = 0) -> Any:
        """Returns a value for each invocation."""
        return np.broadcast_to(value, (self.count, lanes) if lanes else (self.count,))

    # Running

    def call(self, function: Function, arguments: Sequence[Any], mask: Mask) -> Any:
        """Runs a function and returns what it returns."""
        for id_, value in zip(function.parameters, arguments, strict=True):
            self.v[id_] = value
        for row in function.variables:
            assert row.result is not None
            self.v[row.result] = Cell(self.program.type_of(row.result).pointee, self)  # type: ignore[union-attr]
        _Walk(self, function).from_(function.first, mask, {})
        return self.result


def _both_nan(apart: Any, differs: Any) -> bool:
    return apart.dtype.kind == "f" and bool(np.isnan(apart[differs]).all())


class _Walk:
    """Takes masks through the blocks of a function."""

    def __init__(self, frame: Frame, function: Function) -> None:
        self._frame, self._blocks = frame, function.blocks

    def from_(self, label: int, mask: Mask, waiting: dict[int, Mask | None]) -> None:
        """Runs from a block on, until everyone has come to one of the blocks in `waiting`, or has returned."""
        while mask.any:
            if label in waiting:
                there = waiting[label]
                waiting[label] = mask if there is None else there | mask
                return
            block = self._blocks[label]
            assert block.end is not None
            if block.merge is not None and block.merge.name == "LoopMerge":
                label, mask = self._loop(label, block, mask, waiting)
                continue
            self._run(block, mask)
            step = operands(block.end)
            if block.end.name == "Branch":
                label = step[0]
            elif block.end.name == "BranchConditional":
                merge = operands(block.merge)[0] if block.merge is not None else None
                if merge is not None:
                    waiting[merge] = None
                self._sides(step, mask, waiting)
                if merge is None:
                    return
                label, mask = merge, waiting.pop(merge) or _nobody(mask)
            else:
                self._leave(block, mask)
                return

    def _sides(self, step: list[int], mask: Mask, waiting: dict[int, Mask | None]) -> None:
        condition, then, otherwise = step
        value = self._frame.v[condition]
        self.from_(then, mask.where(value), waiting)
        self.from_(otherwise, mask.where(np.logical_not(value)), waiting)

    def _loop(self, head: int, block: Block, mask: Mask, waiting: dict[int, Mask | None]) -> tuple[int, Mask]:
        assert block.merge is not None
        assert block.end is not None
        merge, following = operands(block.merge)[:2]
        waiting[merge] = None
        while mask.any:
            self._run(block, mask)
            waiting[following] = None
            if block.end.name == "Branch":
                self.from_(operands(block.end)[0], mask, waiting)
            else:
                self._sides(operands(block.end), mask, waiting)
            mask = waiting.pop(following) or _nobody(mask)
            waiting[head] = None
            self.from_(following, mask, waiting)
            mask = waiting.pop(head) or _nobody(mask)
        return merge, waiting.pop(merge) or _nobody(mask)

    def _run(self, block: Block, mask: Mask) -> None:
        frame = self._frame
        row = None
        try:
            for run, row in block.runs:  # noqa: B007
                run(frame, mask)
        except MachineError as error:
            if row is None or str(error).startswith("instruction "):
                raise
            raise MachineError(f"instruction `{described(row)}`: {error}") from error

    def _leave(self, block: Block, mask: Mask) -> None:
        assert block.end is not None
        if block.end.name == "Unreachable":
            raise MachineError("an invocation has come to an instruction that is marked as unreachable")
        if block.end.name == "ReturnValue":
            value, frame = self._frame.v[operands(block.end)[0]], self._frame
            frame.result = value if mask.all or frame.result is None else np.where(mask.lanes, value, frame.result)


def _nobody(mask: Mask) -> Mask:
    return Mask(np.zeros_like(mask.lanes))


def run_groups(
    program: Program, buffers: Buffers, groups: tuple[int, int, int], push: bytes, subgroup: int, at_once: int = 0
) -> None:
    """Runs a kernel on a grid of workgroups, some of them at the same time (`at_once`; 0 leaves that open)."""
    size = -(-int(np.prod(program.workgroup)) // subgroup) * subgroup
    total, step = int(np.prod(groups)), at_once or max(1, _MOST_INVOCATIONS // size)
    for first in range(0, total, step):
        numbers = np.arange(first, min(first + step, total))
        frame = _frame(program, buffers, numbers, groups, push, subgroup)
        with np.errstate(all="ignore"):
            frame.call(program.functions[program.entry], [], Mask(frame.present))


def _frame(
    program: Program,
    buffers: Buffers,
    numbers: npt.NDArray[np.int64],
    groups: tuple[int, int, int],
    push: bytes,
    subgroup: int,
) -> Frame:
    x, y, _ = program.workgroup
    invocations = int(np.prod(program.workgroup))
    size = -(-invocations // subgroup) * subgroup
    frame = Frame(program, buffers, len(numbers) * size)
    local = np.tile(np.arange(size), len(numbers))
    frame.groups, frame.subgroup, frame.push = len(numbers), subgroup, push
    frame.present = local < invocations
    frame.group_of = np.repeat(np.arange(len(numbers)), size)
    frame.clock = Clock(local, local // subgroup)
    group = np.repeat(numbers, size)
    group_id = np.stack([group % groups[0], group // groups[0] % groups[1], group // (groups[0] * groups[1])], -1)
    local_id = np.stack([local % x, local // x % y, local // (x * y)], -1)
    builtins: Mapping[str, Any] = {
        "NumWorkgroups": np.array(groups),
        "WorkgroupId": group_id[0] if len(numbers) == 1 else group_id,
        "LocalInvocationId": local_id,
        "GlobalInvocationId": group_id * np.array(program.workgroup) + local_id,
        "LocalInvocationIndex": local,
        "SubgroupSize": np.array(subgroup),
        "NumSubgroups": np.array(size // subgroup),
        "SubgroupId": local // subgroup,
        "SubgroupLocalInvocationId": local % subgroup,
    }
    for id_, name in program.inputs.items():
        frame.v[id_] = builtins[name].astype(np.uint32)
    for id_ in program.pushed:
        frame.v[id_] = 0
    for id_, pointer in program.shared.items():
        type_ = pointer.pointee
        count = 1
        if isinstance(type_, ArrayType):
            assert type_.count is not None
            type_, count = type_.element, type_.count
        scalar, lanes = scalar_of(type_)
        assert isinstance(scalar, Scalar)
        frame.v[id_] = Shared(f"shared %{id_}", len(numbers), scalar, count * max(lanes, 1))
    return frame
