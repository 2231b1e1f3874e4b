"""Pointers, loads and stores of one invocation."""

from typing import Any

import attrs
import numpy as np
from tests.helios.machine.memory import Shared
from tests.helios.machine.program import BUILD, Program, Run, operands
from tests.helios.machine.values import (
    ArrayType,
    MachineError,
    Mask,
    Matrix,
    Pointer,
    Struct,
    Vector,
    from_memory,
    scalar_of,
    signed,
    to_memory,
)

from alpha_helios.spirv.disassemble import Decoded

__all__ = ["Place", "alignment_of", "flat_index"]

_ALIGNED = 0x2


@attrs.frozen(eq=False)
class Place:
    """Where a pointer into a variable points: the index of its first scalar."""

    variable: Any
    index: Any


def _to_pointer(program: Program, row: Decoded) -> Run:
    (source,), result = operands(row), row.result

    def run(frame: Any, mask: Mask) -> None:
        frame.v[result] = frame.v[source]

    return run


def _chain(program: Program, row: Decoded) -> Run:
    (base, *path), result = operands(row), row.result
    pointer = program.type_of(base)
    assert isinstance(pointer, Pointer)
    in_bytes = pointer.storage in ("PhysicalStorageBuffer", "PushConstant")
    known, steps, type_ = 0, [], pointer.pointee
    for id_ in path:
        if isinstance(type_, Struct):
            member = program.constant(id_)
            known, type_ = known + type_.offsets[member], type_.members[member]
            continue
        if isinstance(type_, ArrayType):
            _, lanes = scalar_of(type_.element)
            steps.append((id_, type_.stride if in_bytes else max(lanes, 1)))
            type_ = type_.element
        elif isinstance(type_, Vector):
            steps.append((id_, type_.scalar.nbytes if in_bytes else 1))
            type_ = type_.scalar
        elif isinstance(type_, Matrix):
            steps.append((id_, 1))
            type_ = type_.component
        else:
            raise MachineError(f"a step into {type_}")

    def run(frame: Any, mask: Mask) -> None:
        start = frame.v[base]
        index: Any = np.int64(known)
        for id_, scale in steps:
            index = index + signed(frame.v[id_]).astype(np.int64) * scale
        if pointer.storage == "PhysicalStorageBuffer":
            frame.v[result] = start + index.astype(np.uint64)
        elif pointer.storage == "PushConstant":
            frame.v[result] = start + int(index)
        elif isinstance(start, Place):
            frame.v[result] = Place(start.variable, start.index + index)
        else:
            frame.v[result] = Place(start, index)

    return run


BUILD |= {"ConvertUToPtr": _to_pointer, "AccessChain": _chain}


# Loads and stores


def alignment_of(row: Decoded, least: int) -> int:
    """Returns what an instruction promises about an address."""
    values = [(kind, value) for kind, value in row.operands]
    for position, (kind, value) in enumerate(values):
        if kind == "access" and int(value) & _ALIGNED:
            return max(least, int(values[position + 1][1]))
    return least


def flat_index(frame: Any, place: Place, lanes: int, mask: Mask, what: str) -> Any:
    """Returns indices of scalars in all workgroups' copies of a variable, (invocations,) or (invocations, lanes)."""
    shared: Shared = place.variable
    active = None if mask.all else mask.lanes
    shared.check(place.index if not lanes else place.index + lanes - 1, active, what)
    shared.check(place.index, active, what)
    index = np.broadcast_to(place.index, (frame.count,))
    index = (index if active is None else np.where(active, index, 0)) + frame.group_of * shared.size
    return index if not lanes else index[:, None] + np.arange(lanes)


def _load(program: Program, row: Decoded) -> Run:
    source, result = operands(row)[0], row.result
    pointer = program.type_of(source)
    assert isinstance(pointer, Pointer)
    if pointer.storage == "Input":
        return _to_pointer(program, attrs.evolve(row, operands=row.operands[:1]))
    if pointer.storage == "Function":
        return _load_local(source, result, pointer)
    scalar, lanes = scalar_of(pointer.pointee)
    if pointer.storage == "PushConstant":

        def run(frame: Any, mask: Mask) -> None:
            start = frame.v[source]
            raw = np.frombuffer(frame.push, scalar.stored, max(lanes, 1), start)
            value = from_memory(raw, scalar)
            frame.v[result] = value if lanes else value[0]

    elif pointer.storage == "Workgroup":

        def run(frame: Any, mask: Mask) -> None:
            place = _place(frame.v[source])
            index = flat_index(frame, place, lanes, mask, "a load of scalar")
            clock = frame.clock.now if not lanes else np.broadcast_to(frame.clock.now[:, None], index.shape)
            place.variable.note_read(index[mask.lanes].reshape(-1), clock[mask.lanes].reshape(-1))
            frame.v[result] = from_memory(place.variable.flat[index], scalar)

    else:
        alignment, nbytes = alignment_of(row, scalar.nbytes), scalar.nbytes * max(lanes, 1)
        neighbours = np.arange(lanes)

        def run(frame: Any, mask: Mask) -> None:
            offsets = frame.buffers.offsets(frame.v[source], nbytes, None if mask.all else mask.lanes, alignment)
            index = offsets // scalar.nbytes
            index = index[..., None] + neighbours if lanes else index
            frame.v[result] = from_memory(frame.buffers.view(scalar.stored)[index], scalar)

    return run


def _place(pointer: Any) -> Place:
    return pointer if isinstance(pointer, Place) else Place(pointer, np.int64(0))


def _load_local(source: int, result: int | None, pointer: Pointer) -> Run:
    lanes = pointer.pointee.lanes if isinstance(pointer.pointee, Vector) else 0

    def run(frame: Any, mask: Mask) -> None:
        place = frame.v[source]
        if not isinstance(place, Place):
            if place.data is None:
                raise MachineError("a load of a matrix that was never stored")
            frame.v[result] = place.data
        elif isinstance(place.variable.type, Matrix):
            frame.v[result] = place.variable.data.reshape(-1)[_component_index(frame, place, mask)]
        else:
            index = _own(frame, place, lanes, mask)
            taken = place.variable.data[np.arange(frame.count)[:, None], index]
            frame.v[result] = taken if lanes else taken[:, 0]

    return run


def _own(frame: Any, place: Place, lanes: int, mask: Mask) -> Any:
    """Returns indices into the copy of each invocation, (invocations, lanes)."""
    first, size = np.broadcast_to(place.index, (frame.count,)), place.variable.data.shape[1]
    outside = (first < 0) | (first + max(lanes, 1) > size)
    if (outside & mask.lanes).any():
        raise MachineError(f"scalar {int(first[outside & mask.lanes][0])} of a variable of {size}")
    return np.where(outside, 0, first)[:, None] + np.arange(max(lanes, 1))


def _component_index(frame: Any, place: Place, mask: Mask) -> Any:
    """Which component of all teams' matrices an invocation has at an index: here neighbours lie with neighbours."""
    type_ = place.variable.type
    size = frame.team_size(type_.scope)
    number, own = type_.rows * type_.columns, np.arange(frame.count)
    index = np.broadcast_to(place.index, (frame.count,))
    outside = (index < 0) | (index >= number // size)
    if (outside & mask.lanes).any():
        raise MachineError(f"a component that an invocation does not have, of {number // size}")
    return own // size * number + np.where(outside, 0, index) * size + own % size


def _store(program: Program, row: Decoded) -> Run:
    target, source = operands(row)[:2]
    pointer = program.type_of(target)
    assert isinstance(pointer, Pointer)
    if pointer.storage == "Function":
        return _store_local(target, source, pointer)
    scalar, lanes = scalar_of(pointer.pointee)
    if pointer.storage == "Workgroup":

        def run(frame: Any, mask: Mask) -> None:
            place = _place(frame.v[target])
            index = flat_index(frame, place, lanes, mask, "a store to scalar")[mask.lanes]
            values = frame.each(frame.v[source], lanes)[mask.lanes]
            clock = frame.clock.now[mask.lanes]
            clock = np.broadcast_to(clock[:, None], index.shape) if lanes else clock
            place.variable.note_write(index.reshape(-1), clock.reshape(-1))
            place.variable.flat[index] = to_memory(values, scalar)

    else:
        alignment, nbytes = alignment_of(row, scalar.nbytes), scalar.nbytes * max(lanes, 1)

        def run(frame: Any, mask: Mask) -> None:
            offsets = frame.buffers.offsets(frame.v[target], nbytes, None if mask.all else mask.lanes, alignment)
            index = frame.each(offsets // scalar.nbytes)[mask.lanes]
            index = index[:, None] + np.arange(lanes) if lanes else index
            values = frame.each(frame.v[source], lanes)[mask.lanes]
            frame.buffers.view(scalar.stored)[index] = to_memory(values, scalar)

    return run


def _store_local(target: int, source: int, pointer: Pointer) -> Run:
    lanes = pointer.pointee.lanes if isinstance(pointer.pointee, Vector) else 0
    matrix = pointer.pointee if isinstance(pointer.pointee, Matrix) else None

    def run(frame: Any, mask: Mask) -> None:
        place, value = frame.v[target], frame.v[source]
        if matrix is not None:
            active = frame.teams(mask, matrix.scope)
            whole = active.all() or place.data is None
            place.data = value if whole else np.where(active[:, None, None], value, place.data)
        elif not isinstance(place, Place):
            lanes_of = mask.lanes[:, None] if lanes else mask.lanes
            place.data = value if mask.all else np.where(lanes_of, value, place.data)
        elif isinstance(place.variable.type, Matrix):
            changed = place.variable.data.copy()
            index = _component_index(frame, place, mask)[mask.lanes]
            changed.reshape(-1)[index] = frame.each(value)[mask.lanes]
            place.variable.data = changed
        else:
            index = _own(frame, place, lanes, mask)[mask.lanes]
            own = np.nonzero(mask.lanes)[0][:, None]
            given = frame.each(value, lanes)[mask.lanes]
            place.variable.data[own, index] = given if lanes else given[:, None]

    return run


BUILD |= {"Load": _load, "Store": _store}
