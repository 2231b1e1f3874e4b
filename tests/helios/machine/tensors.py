"""Parts of tensors: which element of memory belongs to which component of a matrix.

Sources: SPV_NV_tensor_addressing, and "Tensor Layout and View" of SPV_NV_cooperative_matrix2, whose functions
`matrixCoordToTensorElement` and `matrixCoordToTensorElementWithView` are followed step by step.
"""

from typing import Any

import attrs
import numpy as np
from tests.helios.machine.matrices import matrix_type
from tests.helios.machine.program import BUILD, Program, Run, operands
from tests.helios.machine.values import (
    Layout,
    MachineError,
    Mask,
    Matrix,
    Pointer,
    View,
    from_memory,
    signed,
    to_memory,
)

from alpha_helios.spirv.disassemble import Decoded

_UNDEFINED, _CONSTANT, _EDGE, _REPEAT, _MIRROR = range(5)
_ALIGNMENT = 16
_REACH = 1 << 32  # elements and bytes are counted in 32 bits

Numbers = tuple[Any, ...]


@attrs.frozen(eq=False)
class TensorLayout:
    """What a layout holds; numbers may differ among workgroups."""

    dimensions: Numbers
    strides: Numbers
    offsets: Numbers
    spans: Numbers
    clamp_value: Any


@attrs.frozen(eq=False)
class TensorView:
    dimensions: Numbers
    strides: Numbers
    clip: Numbers


def _create(program: Program, row: Decoded) -> Run:
    result = row.result
    assert result is not None
    type_ = program.type_of(result)
    assert isinstance(type_, Layout | View)
    zeros = (np.int64(0),) * type_.axes
    everything = (np.int64(0), np.int64(_REACH - 1)) * 2
    made: Any = TensorView(zeros, zeros, everything)
    if isinstance(type_, Layout):
        made = TensorLayout(zeros, zeros, zeros, zeros, np.uint32(0))

    def run(frame: Any, mask: Mask) -> None:
        frame.v[result] = made

    return run


def _gapless(dimensions: Numbers) -> Numbers:
    strides: list[Any] = [np.int64(1)]
    for length in dimensions[:0:-1]:
        strides.insert(0, strides[0] * length)
    return tuple(strides)


def _set_dimensions(before: TensorLayout, *numbers: Any) -> TensorLayout:
    return attrs.evolve(
        before,
        dimensions=numbers,
        spans=numbers,
        offsets=(np.int64(0),) * len(numbers),
        strides=_gapless(numbers),
    )


def _set_strides(before: TensorLayout, *numbers: Any) -> TensorLayout:
    return attrs.evolve(before, strides=numbers)


def _slice(before: TensorLayout, *numbers: Any) -> TensorLayout:
    moved = tuple(old + new for old, new in zip(before.offsets, numbers[::2], strict=True))
    return attrs.evolve(before, offsets=moved, spans=numbers[1::2])


def _changed(change: Any) -> Any:
    def build(program: Program, row: Decoded) -> Run:
        (before, *ids), result = operands(row), row.result
        # Offsets have a sign; lengths and strides do not, which makes no difference below 2^31.
        keep_sign = row.name == "TensorLayoutSliceNV"

        def number(value: Any) -> Any:
            return (signed(value) if keep_sign else value).astype(np.int64)

        def run(frame: Any, mask: Mask) -> None:
            frame.v[result] = change(frame.v[before], *(number(frame.v[id_]) for id_ in ids))

        return run

    return build


BUILD |= {
    "CreateTensorLayoutNV": _create,
    "CreateTensorViewNV": _create,
    "TensorLayoutSetDimensionNV": _changed(_set_dimensions),
    "TensorLayoutSetStrideNV": _changed(_set_strides),
    "TensorLayoutSliceNV": _changed(_slice),
    "TensorLayoutSetClampValueNV": _changed(lambda before, value: attrs.evolve(before, clamp_value=value)),
    "TensorViewSetDimensionNV": _changed(
        lambda before, *numbers: attrs.evolve(before, dimensions=numbers, strides=_gapless(numbers))
    ),
    "TensorViewSetStrideNV": _changed(lambda before, *numbers: attrs.evolve(before, strides=numbers)),
    "TensorViewSetClipNV": _changed(lambda before, *numbers: attrs.evolve(before, clip=numbers)),
}


@attrs.frozen
class _Addresses:
    """For each component of (teams, rows, columns): its element, whether it is clipped away, and whether it lies beyond
    the tensor and is a constant."""

    elements: Any
    clipped: Any
    beyond: Any


class _Addressing:
    """Follows the specification for one instruction."""

    def __init__(self, program: Program, row: Decoded, type_: Matrix, layout: int, *, stores: bool) -> None:
        kind = program.type_of(layout)
        assert isinstance(kind, Layout)
        self._type, self._layout, self._clamp, self._stores = type_, layout, kind.clamp, stores
        position = next(place for place, (name, _) in enumerate(row.operands) if name == "tensor_access")
        flags = int(row.operands[position][1])
        if flags not in (0, 1):
            raise MachineError("this machine decodes no blocks")
        self._view = int(row.operands[position + 1][1]) if flags else None
        view = program.type_of(self._view) if self._view is not None else None
        assert view is None or isinstance(view, View)
        self._view_type = view

    def addresses(self, frame: Any, mask: Mask, active: Any) -> _Addresses:
        def each(number: Any) -> Any:
            return frame.same(number, mask, self._type.scope).astype(np.int64)[:, None, None]

        def many(numbers: Numbers) -> list[Any]:
            return [each(number) for number in numbers]

        layout: TensorLayout = frame.v[self._layout]
        spans, offsets, dimensions, strides = map(
            many, (layout.spans, layout.offsets, layout.dimensions, layout.strides)
        )
        self._check_strides(dimensions, strides, active)
        row, column = np.arange(self._type.rows)[:, None], np.arange(self._type.columns)
        clipped = np.zeros((len(active), self._type.rows, self._type.columns), np.bool_)
        index = np.broadcast_to(row * self._type.columns + column, clipped.shape)
        if self._view_type is not None:
            view: TensorView = frame.v[self._view]
            index, clipped = self._seen(index, row, column, many(view.clip))
            own = self._view_type.reshaped
            lengths = many(view.dimensions) if own else spans
            steps = many(view.strides) if own else many(_gapless(layout.spans))
            index = self._permuted(index, lengths, steps)
        beyond = np.zeros(clipped.shape, np.bool_)
        element = np.zeros(clipped.shape, np.int64)
        for axis in range(len(spans) - 1, -1, -1):
            span = np.maximum(spans[axis], 1)
            index, within = index // span, index % span
            place, outside = self._clamped(within + offsets[axis], dimensions[axis], ~clipped & active[:, None, None])
            element, beyond = element + place * strides[axis], beyond | outside
        return _Addresses(element, clipped, beyond & ~clipped)

    def _check_strides(self, dimensions: list[Any], strides: list[Any], active: Any) -> None:
        """A stride is at least the next one times its length."""
        for axis in range(len(strides) - 1):
            short = (strides[axis] < strides[axis + 1] * dimensions[axis + 1])[active]
            if short.any():
                stride, length = strides[axis][active][short][0], dimensions[axis + 1][active][short][0]
                raise MachineError(f"a tensor with stride {int(stride)} over an axis of length {int(length)}")

    def _seen(self, index: Any, row: Any, column: Any, clip: list[Any]) -> tuple[Any, Any]:
        first_row, rows, first_column, columns = clip
        y, x = row - first_row, column - first_column
        clipped = (y < 0) | (y >= rows) | (x < 0) | (x >= columns)
        width = np.minimum(self._type.columns, columns)
        return np.where(clipped, 0, y * width + x), clipped

    def _permuted(self, index: Any, lengths: list[Any], steps: list[Any]) -> Any:
        assert self._view_type is not None
        found: Any = 0
        for axis in reversed(self._view_type.order):
            length = np.maximum(lengths[axis], 1)
            found, index = found + index % length * steps[axis], index // length
        return found

    def _clamped(self, place: Any, length: Any, matters: Any) -> tuple[Any, Any]:
        """Returns a coordinate within an axis, and where there is a constant instead."""
        outside = (place < 0) | (place >= length)
        if self._clamp == _UNDEFINED:
            if (outside & matters).any():
                worst = int(np.broadcast_to(place, outside.shape)[outside & matters][0])
                raise MachineError(f"coordinate {worst} of an axis that ends before, with clamp mode `undefined`")
            return np.where(outside, 0, place), outside
        mode = _CONSTANT if self._stores else self._clamp
        if mode == _CONSTANT:
            return np.where(outside, 0, place), outside
        if mode == _EDGE:
            moved = np.minimum(np.maximum(place, 0), length - 1)
        elif mode == _REPEAT:
            moved = place % length
        else:
            around = place % np.maximum(2 * length - 2, 1)
            moved = np.where(around >= length, 2 * length - 2 - around, around)
        return np.where(outside, moved, place), np.zeros(outside.shape, np.bool_)


class _Memory:
    """The buffer that the pointer of an instruction begins in."""

    def __init__(self, program: Program, type_: Matrix, pointer: int) -> None:
        kind = program.type_of(pointer)
        assert isinstance(kind, Pointer)
        if kind.storage != "PhysicalStorageBuffer":
            raise MachineError("this machine knows tensors in buffers alone")
        self._type, self._pointer = type_, pointer

    def indices(self, frame: Any, mask: Mask, elements: Any, taken: Any) -> Any:
        size = self._type.component.nbytes
        address = frame.same(frame.v[self._pointer], mask, self._type.scope).astype(np.int64)[:, None, None]
        if (np.broadcast_to(address, taken.shape)[taken] % _ALIGNMENT).any():
            raise MachineError("a tensor that begins at no multiple of 16 bytes")
        if (elements[taken] * size >= _REACH).any():
            raise MachineError("an element of a tensor farther than 32 bits reach")
        return frame.buffers.offsets(address + elements * size, size, taken, size) // size


def _load(program: Program, row: Decoded) -> Run:
    (pointer, before, layout), result = operands(row)[:3], row.result
    type_ = matrix_type(program, result)
    addressing = _Addressing(program, row, type_, layout, stores=False)
    memory, component = _Memory(program, type_, pointer), type_.component

    def run(frame: Any, mask: Mask) -> None:
        active = frame.teams(mask, type_.scope)
        where = addressing.addresses(frame, mask, active)
        taken = ~where.clipped & ~where.beyond & active[:, None, None]
        index = memory.indices(frame, mask, where.elements, taken)
        values = from_memory(frame.buffers.view(component.stored)[index], component)
        bits = frame.same(frame.v[layout].clamp_value, mask, type_.scope).astype(f"u{component.nbytes}")
        constant = from_memory(bits.view(component.stored), component)[:, None, None]
        values = np.where(where.beyond, constant, values)
        frame.v[result] = np.where(where.clipped, frame.v[before], values)

    return run


def _store(program: Program, row: Decoded) -> Run:
    pointer, source, layout = operands(row)[:3]
    type_ = matrix_type(program, source)
    addressing = _Addressing(program, row, type_, layout, stores=True)
    memory, component = _Memory(program, type_, pointer), type_.component

    def run(frame: Any, mask: Mask) -> None:
        active = frame.teams(mask, type_.scope)
        where = addressing.addresses(frame, mask, active)
        taken = ~where.clipped & ~where.beyond & active[:, None, None]
        index = memory.indices(frame, mask, where.elements, taken)
        frame.buffers.view(component.stored)[index[taken]] = to_memory(frame.v[source][taken], component)

    return run


BUILD |= {"CooperativeMatrixLoadTensorNV": _load, "CooperativeMatrixStoreTensorNV": _store}
