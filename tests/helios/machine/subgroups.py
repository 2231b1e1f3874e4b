"""What invocations do together: operations of a subgroup, barriers, and atomic operations."""

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.helios.machine.pointers import Place, alignment_of, flat_index
from tests.helios.machine.program import BUILD, Program, Run, operands
from tests.helios.machine.values import MachineError, Mask, Pointer, nothing, scalar_of, signed

from alpha_helios.spirv.disassemble import Decoded

_REDUCE, _INCLUSIVE, _EXCLUSIVE = range(3)
_ON_SHARED = 0x100  # memory semantics: of the workgroup's memory


def _teams(frame: Any, value: Any) -> Any:
    """A value as (subgroups, invocations) or (subgroups, invocations, lanes)."""
    value = np.asarray(value)
    lanes = value.shape[-1:] if value.ndim == 2 or (value.ndim == 1 and len(value) != frame.count) else ()
    whole = np.broadcast_to(value, (frame.count, *lanes))
    return whole.reshape(-1, frame.team_size("subgroup"), *lanes)


def _active(frame: Any, mask: Mask, like: Any) -> Any:
    active = mask.lanes.reshape(-1, frame.team_size("subgroup"))
    return active[..., None] if like.ndim == 3 else active


def _flat(frame: Any, value: Any) -> Any:
    return value.reshape(frame.count, *value.shape[2:])


_Combine = tuple[Callable[..., Any], Any, bool]
"""A function of two arrays, what changes nothing, and whether integers have a sign."""

_COMBINE: dict[str, _Combine] = {
    "IAdd": (np.add, 0, False),
    "FAdd": (np.add, 0, False),
    "IMul": (np.multiply, 1, False),
    "FMul": (np.multiply, 1, False),
    "SMin": (np.minimum, "most", True),
    "SMax": (np.maximum, "least", True),
    "FMin": (np.fmin, np.inf, False),
    "FMax": (np.fmax, -np.inf, False),
    "BitwiseAnd": (np.bitwise_and, "ones", False),
    "BitwiseOr": (np.bitwise_or, 0, False),
    "BitwiseXor": (np.bitwise_xor, 0, False),
}


def _neutral(name: Any, dtype: np.dtype[Any]) -> Any:
    if name == "ones":
        return dtype.type(~dtype.type(0))
    if name in ("most", "least"):
        limits = np.iinfo(dtype)
        return dtype.type(limits.max if name == "most" else limits.min)
    return dtype.type(name)


def _arithmetic(program: Program, row: Decoded) -> Run:
    (_, how, source), result = operands(row), row.result
    function, name, has_sign = _COMBINE[row.name.removeprefix("GroupNonUniform")]

    def run(frame: Any, mask: Mask) -> None:
        given = _teams(frame, frame.v[source])
        values = signed(given) if has_sign else given
        start = _neutral(name, values.dtype)
        values = np.where(_active(frame, mask, values), values, start)
        if how == _REDUCE:
            made = function.reduce(values, axis=1, dtype=values.dtype)[:, None]  # type: ignore[attr-defined]
            made = np.broadcast_to(made, values.shape)
        else:
            made = function.accumulate(values, axis=1, dtype=values.dtype)  # type: ignore[attr-defined]
            if how == _EXCLUSIVE:
                made = np.concatenate([np.full_like(made[:, :1], start), made[:, :-1]], 1)
        frame.v[result] = _flat(frame, made.view(given.dtype))

    return run


for _name in _COMBINE:
    BUILD[f"GroupNonUniform{_name}"] = _arithmetic


def _moves(program: Program, row: Decoded) -> Run:
    """Each invocation gets the value of another one; of one that does not take part it is undefined."""
    (_, source, *more), result = operands(row), row.result
    kind = row.name.removeprefix("GroupNonUniform")
    assert result is not None
    scalar, _ = scalar_of(program.type_of(result))

    def run(frame: Any, mask: Mask) -> None:
        values = _teams(frame, frame.v[source])
        size = values.shape[1]
        active = mask.lanes.reshape(-1, size)
        lane = np.arange(size)
        if kind == "BroadcastFirst":
            wanted = np.broadcast_to(active.argmax(1)[:, None], active.shape)
        else:
            other = _teams(frame, frame.v[more[0]]).astype(np.int64)
            wanted = {
                "Broadcast": lambda: other,
                "Shuffle": lambda: other,
                "ShuffleXor": lambda: lane ^ other,
                "ShuffleUp": lambda: lane - other,
                "ShuffleDown": lambda: lane + other,
            }[kind]()
        there = (wanted >= 0) & (wanted < size)
        wanted = np.where(there, wanted, 0)
        there &= np.take_along_axis(active, wanted, 1)
        if values.ndim == 3:
            moved = np.take_along_axis(values, wanted[..., None], 1)
            moved = np.where(there[..., None], moved, nothing(scalar, ()))
        else:
            moved = np.where(there, np.take_along_axis(values, wanted, 1), nothing(scalar, ()))
        frame.v[result] = _flat(frame, moved)

    return run


def _votes(program: Program, row: Decoded) -> Run:
    (_, *more), result = operands(row), row.result
    kind = row.name.removeprefix("GroupNonUniform")

    def run(frame: Any, mask: Mask) -> None:
        active = mask.lanes.reshape(-1, frame.team_size("subgroup"))
        if kind == "Elect":
            made = np.arange(active.shape[1]) == active.argmax(1)[:, None]
        else:
            condition = _teams(frame, frame.v[more[0]])
            answer = (condition & active).any(1) if kind == "Any" else (condition | ~active).all(1)
            made = np.broadcast_to(answer[:, None], active.shape)
        frame.v[result] = made.reshape(-1)

    return run


def _ballot(program: Program, row: Decoded) -> Run:
    (_, condition), result = operands(row), row.result

    def run(frame: Any, mask: Mask) -> None:
        size = frame.team_size("subgroup")
        yes = _teams(frame, frame.v[condition]) & mask.lanes.reshape(-1, size)
        bits = np.zeros((len(yes), 128), np.bool_)
        bits[:, :size] = yes
        words = np.packbits(bits, axis=1, bitorder="little").view(np.uint32)
        frame.v[result] = np.repeat(words, size, axis=0)

    return run


def _ballot_count(program: Program, row: Decoded) -> Run:
    (_, how, ballot), result = operands(row), row.result

    def run(frame: Any, mask: Mask) -> None:
        size = frame.team_size("subgroup")
        words = np.ascontiguousarray(np.broadcast_to(frame.v[ballot], (frame.count, 4)))
        bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
        lane = np.arange(frame.count) % size
        last = {_REDUCE: np.full_like(lane, size), _INCLUSIVE: lane + 1, _EXCLUSIVE: lane}[how]
        frame.v[result] = (bits * (np.arange(128) < last[:, None])).sum(1).astype(np.uint32)

    return run


for _name in ("Broadcast", "BroadcastFirst", "Shuffle", "ShuffleXor", "ShuffleUp", "ShuffleDown"):
    BUILD[f"GroupNonUniform{_name}"] = _moves
for _name in ("Elect", "All", "Any"):
    BUILD[f"GroupNonUniform{_name}"] = _votes
BUILD |= {"GroupNonUniformBallot": _ballot, "GroupNonUniformBallotBitCount": _ballot_count}


def _barrier(program: Program, row: Decoded) -> Run:
    execution, _, semantics = operands(row)
    scope, orders = program.scope(execution), program.constant(semantics) & _ON_SHARED

    def run(frame: Any, mask: Mask) -> None:
        frame.teams(mask, scope)
        if orders:
            frame.clock.pass_barrier(mask.lanes, workgroup=scope == "workgroup")

    return run


BUILD["ControlBarrier"] = _barrier


# Atomic operations


def _compared(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: function(signed(a), signed(b)).view(a.dtype)


_ATOMIC: dict[str, Callable[[Any, Any], Any]] = {
    "AtomicLoad": lambda old, _: old,
    "AtomicStore": lambda _, new: new,
    "AtomicExchange": lambda _, new: new,
    "AtomicIAdd": np.add,
    "AtomicSMin": _compared(np.minimum),
    "AtomicSMax": _compared(np.maximum),
    "AtomicUMin": np.minimum,
    "AtomicUMax": np.maximum,
    "AtomicAnd": np.bitwise_and,
    "AtomicOr": np.bitwise_or,
    "AtomicXor": np.bitwise_xor,
    "AtomicFMinEXT": np.fmin,
    "AtomicFMaxEXT": np.fmax,
    "AtomicFAddEXT": np.add,
}


def _atomic(program: Program, row: Decoded) -> Run:
    ids, result, name = operands(row), row.result, row.name
    pointer = program.type_of(ids[0])
    assert isinstance(pointer, Pointer)
    scalar, _ = scalar_of(pointer.pointee)
    exchanges = name == "AtomicCompareExchange"
    given = None if name == "AtomicLoad" else ids[4 if exchanges else 3]
    alignment = alignment_of(row, scalar.nbytes)

    def run(frame: Any, mask: Mask) -> None:
        target = frame.v[ids[0]]
        if isinstance(target, Place):
            memory = target.variable.flat
            index = flat_index(frame, target, 0, mask, "an atomic operation on scalar")
        elif pointer.storage == "PhysicalStorageBuffer":
            memory = frame.buffers.view(scalar.stored)
            offsets = frame.buffers.offsets(target, scalar.nbytes, None if mask.all else mask.lanes, alignment)
            index = frame.each(offsets // scalar.nbytes)
        else:
            raise MachineError(f"an atomic operation in storage {pointer.storage}")
        values = frame.each(frame.v[given]) if given is not None else index
        expected = frame.each(frame.v[ids[5]]) if exchanges else None
        before = np.zeros(frame.count, scalar.held)
        for lane in np.nonzero(mask.lanes)[0]:  # one after the other, in an order that the device would choose
            old = before[lane] = memory[index[lane]]
            if expected is None:
                memory[index[lane]] = _ATOMIC[name](old, values[lane])
            elif old == expected[lane]:
                memory[index[lane]] = values[lane]
        if result is not None:
            frame.v[result] = before

    return run


for _name in (*_ATOMIC, "AtomicCompareExchange"):
    BUILD[_name] = _atomic
