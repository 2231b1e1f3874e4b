"""Cooperative matrices: (teams, rows, columns), whole, whoever holds which component.

Source: SPV_KHR_cooperative_matrix, and the conversions, reductions and functions of one element of
SPV_NV_cooperative_matrix2. Products are summed in f32, or in integers of 64 bits.
"""

from typing import Any

import numpy as np
from tests.helios.machine.arithmetic import rounded
from tests.helios.machine.memory import Clock, Shared
from tests.helios.machine.pointers import Place, alignment_of
from tests.helios.machine.program import BUILD, Program, Run, operands
from tests.helios.machine.values import (
    MachineError,
    Mask,
    Matrix,
    Pointer,
    Scalar,
    from_memory,
    scalar_of,
    signed,
    to_memory,
)

from alpha_helios.spirv.disassemble import Decoded

__all__ = ["load_elements", "matrix_type", "store_elements"]

_COLUMN_MAJOR = 1
_ROW_BYTES = 16  # what VUID-RuntimeSpirv-OpCooperativeMatrixLoadKHR-08986 asks of pointers and strides at most
_SATURATING = 0x10


def matrix_type(program: Program, id_: int | None) -> Matrix:
    assert id_ is not None
    type_ = program.type_of(id_)
    if not isinstance(type_, Matrix):
        raise MachineError(f"%{id_} is no cooperative matrix")
    return type_


# Loads and stores


class _Access:
    """Where the components of a matrix lie, by the operands of a load or a store."""

    def __init__(
        self, program: Program, row: Decoded, type_: Matrix, pointer: int, layout: int, stride: int | None
    ) -> None:
        if stride is None:
            raise MachineError("a matrix without a stride")
        kind = program.type_of(pointer)
        assert isinstance(kind, Pointer)
        scalar, lanes = scalar_of(kind.pointee)
        self._type, self._pointer, self._stride, self._storage = type_, pointer, stride, kind.storage
        self._unit = scalar.nbytes * max(lanes, 1)  # strides count elements of what the pointer points to
        self._by_columns = program.constant(layout) == _COLUMN_MAJOR
        length = type_.rows if self._by_columns else type_.columns
        self._row_alignment = min(_ROW_BYTES, length * type_.component.nbytes)
        self._alignment = alignment_of(row, type_.component.nbytes)

    def indices(self, frame: Any, mask: Mask) -> tuple[Any, Any, Any]:
        """Returns which teams are active, the shared variable or None, and the indices of components (teams, r, c)."""
        type_ = self._type
        active = frame.teams(mask, type_.scope)
        stride = frame.same(frame.v[self._stride], mask, type_.scope)
        # The least type is unsigned; strides of i64 fit as well.
        pitch = (stride.astype(np.int64) * self._unit)[:, None, None]
        size = type_.component.nbytes
        row, column = np.arange(type_.rows)[:, None], np.arange(type_.columns)
        far, near = (column, row) if self._by_columns else (row, column)
        within = far * pitch + near * size
        if self._storage == "PhysicalStorageBuffer":
            address = frame.same(frame.v[self._pointer], mask, type_.scope).astype(np.int64)
            self._need_aligned(address[active], pitch[active])
            places = address[:, None, None] + within
            alignment = size
            offsets = frame.buffers.offsets(
                places, size, np.broadcast_to(active[:, None, None], places.shape), alignment
            )
            if (address[active] % self._alignment).any():
                raise MachineError(f"a matrix at an address that is not aligned to {self._alignment}")
            return active, None, offsets // size
        place = frame.v[self._pointer]
        if self._storage != "Workgroup" or not isinstance(place, Place):
            raise MachineError(f"a matrix in storage {self._storage}")
        shared: Shared = place.variable
        start = frame.same(place.index, mask, type_.scope).astype(np.int64) * shared.scalar.nbytes
        self._need_aligned(start[active], pitch[active])
        inside = start[:, None, None] + within
        shared.check(inside // shared.scalar.nbytes, active[:, None, None], "a matrix with scalar")
        group = np.arange(len(active)) * frame.team_size(type_.scope) // frame.team_size("workgroup")
        places = (
            np.where(active[:, None, None], inside, 0) + (group * shared.size * shared.scalar.nbytes)[:, None, None]
        )
        return active, shared, places // size

    def _need_aligned(self, start: Any, pitch: Any) -> None:
        if (start % self._row_alignment).any() or (pitch % self._row_alignment).any():
            raise MachineError(f"a matrix whose rows do not begin at multiples of {self._row_alignment} bytes")


def _clock(frame: Any, type_: Matrix, index: Any, active: Any) -> Any:
    stamps = frame.clock.collective.reshape(-1, frame.team_size(type_.scope))[:, 0]
    return np.broadcast_to(stamps[:, None, None], index.shape)[active].reshape(-1)


def _words(shared: Shared, component: Scalar, index: Any) -> Any:
    """Returns the indices of the words of a shared variable in which components lie."""
    size, unit = component.nbytes, shared.scalar.nbytes
    if size <= unit:
        return index * size // unit
    return (index[..., None] * (size // unit) + np.arange(size // unit)).reshape(-1)


def load_elements(frame: Any, shared: Shared | None, component: Scalar, index: Any) -> Any:
    memory = shared.flat.view(component.stored) if shared is not None else frame.buffers.view(component.stored)
    return from_memory(memory[index], component)


def store_elements(frame: Any, shared: Shared | None, component: Scalar, index: Any, values: Any) -> None:
    memory = shared.flat.view(component.stored) if shared is not None else frame.buffers.view(component.stored)
    memory[index] = to_memory(values, component)


def _load(program: Program, row: Decoded) -> Run:
    pointer, layout, stride, *_ = (*operands(row)[:3], None, None)
    assert pointer is not None
    assert layout is not None
    type_, result = matrix_type(program, row.result), row.result
    access = _Access(program, row, type_, pointer, layout, stride)

    def run(frame: Any, mask: Mask) -> None:
        active, shared, index = access.indices(frame, mask)
        if shared is not None:
            words = _words(shared, type_.component, index[active].reshape(-1))
            clock = _clock(frame, type_, index, active)
            shared.note_read(words, np.repeat(clock, len(words) // max(len(clock), 1)))
        frame.v[result] = load_elements(frame, shared, type_.component, index)

    return run


def _store(program: Program, row: Decoded) -> Run:
    pointer, source, layout, stride, *_ = (*operands(row)[:4], None)
    assert pointer is not None
    assert source is not None
    assert layout is not None
    type_ = matrix_type(program, source)
    access = _Access(program, row, type_, pointer, layout, stride)

    def run(frame: Any, mask: Mask) -> None:
        active, shared, index = access.indices(frame, mask)
        if shared is not None:
            words = _words(shared, type_.component, index[active].reshape(-1))
            clock = _clock(frame, type_, index, active)
            shared.note_write(words, np.repeat(clock, len(words) // max(len(clock), 1)))
        store_elements(frame, shared, type_.component, index[active], frame.v[source][active])

    return run


BUILD |= {"CooperativeMatrixLoadKHR": _load, "CooperativeMatrixStoreKHR": _store}


# Arithmetic


def _multiply_add(program: Program, row: Decoded) -> Run:
    (a, b, c), signs = operands(row)[:3], (operands(row)[3:] or [0])[0]
    left, right, total = (matrix_type(program, id_) for id_ in (a, b, c))
    if (left.use, right.use, total.use) != (0, 1, 2) or total != matrix_type(program, row.result):
        raise MachineError("matrices of the wrong use")
    if (left.rows, right.columns, left.columns) != (total.rows, total.columns, right.rows):
        raise MachineError("matrices that do not fit together")
    result = row.result

    def run(frame: Any, mask: Mask) -> None:
        frame.teams(mask, total.scope)
        v = frame.v
        if left.component.kind == "int":
            v[result] = _integers(v[a], v[b], v[c], signs)
        else:
            factors = (v[id_].astype(np.float32, copy=False) for id_ in (a, b))
            product = np.matmul(*factors) + v[c].astype(np.float32, copy=False)
            v[result] = rounded(total.component)(product)

    return run


def _integers(a: Any, b: Any, c: Any, signs: int) -> Any:
    """Sums modulo 2^n, or saturating."""
    wide = [(signed(x) if signs >> place & 1 else x).astype(np.int64) for place, x in enumerate((a, b, c))]
    total = np.matmul(wide[0], wide[1]) + wide[2]
    if signs & _SATURATING:
        limits = np.iinfo(np.dtype(f"i{c.dtype.itemsize}") if signs & 8 else c.dtype)
        total = np.clip(total, limits.min, limits.max)
    return total.astype(f"i{c.dtype.itemsize}").view(c.dtype)


def _scale(program: Program, row: Decoded) -> Run:
    (matrix, factor), type_, result = operands(row), matrix_type(program, row.result), row.result

    def run(frame: Any, mask: Mask) -> None:
        frame.teams(mask, type_.scope)
        factors = frame.same(frame.v[factor], mask, type_.scope)
        frame.v[result] = frame.v[matrix] * factors[:, None, None]

    return run


def _length(program: Program, row: Decoded) -> Run:
    type_, result = program.types[operands(row)[0]], row.result
    assert isinstance(type_, Matrix)

    def run(frame: Any, mask: Mask) -> None:
        frame.v[result] = np.uint32(type_.rows * type_.columns // frame.team_size(type_.scope))

    return run


def _other_use(program: Program, row: Decoded) -> Run:
    (source,), result = operands(row), row.result
    before, after = matrix_type(program, source), matrix_type(program, result)
    turned = row.name == "CooperativeMatrixTransposeNV"
    shape = (before.columns, before.rows) if turned else (before.rows, before.columns)
    uses = (1,) if turned else (0, 1)
    fits = (after.rows, after.columns) == shape and before.component == after.component and before.scope == after.scope
    if not fits or before.use != 2 or after.use not in uses:
        raise MachineError(f"{before} as {after}")

    def run(frame: Any, mask: Mask) -> None:
        frame.teams(mask, after.scope)
        frame.v[result] = frame.v[source].mT if turned else frame.v[source]

    return run


# Functions of one element


def _call(frame: Any, function: int, arguments: list[Any], active: Any) -> Any:
    """Calls a function for as many elements as `active` has entries, each with a value of each argument.

    Elements of a team stand together. Shared memory is reached as if by a whole subgroup: which of its invocations is
    asked for an element is up to the device.
    """
    from tests.helios.machine.machine import Frame  # it needs the instructions that stand here

    inner = Frame(frame.program, frame.buffers, len(active))
    for id_ in frame.program.shared:
        inner.v[id_] = frame.v[id_]
    who = np.arange(len(active)) * frame.count // len(active)
    inner.group_of = frame.group_of[who]
    inner.clock = Clock.of_teams(frame.clock.collective[who])
    result = inner.call(frame.program.functions[function], arguments, Mask(active))
    return np.broadcast_to(result, active.shape)


def _per_element(program: Program, row: Decoded) -> Run:
    (matrix, function, *given), result = operands(row), row.result
    type_ = matrix_type(program, result)
    for id_ in given:
        if isinstance(program.type_of(id_), Matrix) and program.type_of(id_) != type_:
            raise MachineError(f"a component of {program.type_of(id_)} for each of {type_}")
    number = type_.rows * type_.columns
    rows = np.repeat(np.arange(type_.rows, dtype=np.uint32), type_.columns)
    columns = np.tile(np.arange(type_.columns, dtype=np.uint32), type_.rows)

    def run(frame: Any, mask: Mask) -> None:
        active, values = frame.teams(mask, type_.scope), frame.v[matrix]
        arguments: list[Any] = [np.tile(rows, len(values)), np.tile(columns, len(values)), values.reshape(-1)]
        for id_ in given:
            if isinstance(program.type_of(id_), Matrix):
                arguments.append(np.broadcast_to(frame.v[id_], values.shape).reshape(-1))
            else:  # who is asked for an element is up to the device, so that all must give the same
                arguments.append(np.repeat(frame.same(frame.v[id_], mask, type_.scope), number))
        everywhere = np.repeat(active, number)
        computed = _call(frame, function, arguments, everywhere)
        # "Calls may occur more than once": here they do for every third element.
        again = everywhere & (np.arange(everywhere.size) % 3 == 0)
        computed = np.where(again, _call(frame, function, arguments, again), computed)
        frame.v[result] = computed.reshape(values.shape)

    return run


_ROW, _COLUMN = 1, 2


def _reduce(program: Program, row: Decoded) -> Run:
    (matrix, how, function), result = operands(row), row.result
    before, after = matrix_type(program, matrix), matrix_type(program, result)

    def run(frame: Any, mask: Mask) -> None:
        active, values = frame.teams(mask, after.scope), frame.v[matrix]

        def folded(parts: list[Any]) -> Any:
            total = parts[0]
            for part in parts[1:]:
                each = np.repeat(active, part[0].size)
                total = _call(frame, function, [total.reshape(-1), part.reshape(-1)], each).reshape(part.shape)
            return total

        if how & (_ROW | _COLUMN):
            if how & _ROW:
                values = folded([values[:, :, [place]] for place in range(before.columns)])
            if how & _COLUMN:
                values = folded([values[:, [place]] for place in range(before.rows)])
        else:
            values = folded([values[:, down::2, across::2] for down in range(2) for across in range(2)])
        frame.v[result] = np.broadcast_to(values, (len(active), after.rows, after.columns))

    return run


BUILD |= {
    "CooperativeMatrixMulAddKHR": _multiply_add,
    "MatrixTimesScalar": _scale,
    "CooperativeMatrixLengthKHR": _length,
    "CooperativeMatrixConvertNV": _other_use,
    "CooperativeMatrixTransposeNV": _other_use,
    "CooperativeMatrixPerElementOpNV": _per_element,
    "CooperativeMatrixReduceNV": _reduce,
}
