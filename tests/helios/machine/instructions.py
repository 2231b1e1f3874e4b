"""Instructions of one invocation that compute: arithmetic, conversions, vectors."""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
from tests.helios.machine.arithmetic import DIVISIONS, ELEMENTWISE, EXTENDED, bitcast, conversion
from tests.helios.machine.program import BUILD, Program, Run, operands
from tests.helios.machine.values import (
    MachineError,
    Mask,
    Matrix,
    Scalar,
    Vector,
    nothing,
    scalar_of,
)

from alpha_helios.spirv.disassemble import Decoded

_ACCUMULATOR = 2  # of the uses of a matrix the one that may become another (SPV_NV_cooperative_matrix2)


def _computed(function: Callable[..., Any]) -> Callable[[Program, Decoded], Run]:
    """An instruction whose result is a function of its operands alone."""

    def build(program: Program, row: Decoded) -> Run:
        ids, result = operands(row), row.result
        _refuse_bfloat(program, row)
        divides = row.name in DIVISIONS
        if len(ids) == 1:
            (a,) = ids

            def run(frame: Any, mask: Mask) -> None:
                frame.v[result] = function(frame.v[a])

        elif len(ids) == 2:
            a, b = ids

            def run(frame: Any, mask: Mask) -> None:
                v = frame.v
                if divides:
                    _need_divisor(v[b], mask)
                v[result] = function(v[a], v[b])

        else:

            def run(frame: Any, mask: Mask) -> None:
                frame.v[result] = function(*(frame.v[id_] for id_ in ids))

        return run

    return build


def _refuse_bfloat(program: Program, row: Decoded) -> None:
    """SPV_KHR_bfloat16 leaves few instructions for bfloats, and none that computes."""
    assert row.result is not None
    type_ = program.type_of(row.result)
    scalar = type_.component if isinstance(type_, Matrix) else type_.scalar if isinstance(type_, Vector) else type_
    if isinstance(scalar, Scalar) and scalar.kind == "bfloat" and row.name != "Select":
        raise MachineError("there is no arithmetic of bfloats")


def _need_divisor(divisor: Any, mask: Mask) -> None:
    zero = np.asarray(divisor == 0)
    if zero.any() and (zero.ndim == 0 or (zero.reshape(len(zero), -1).any(1) & mask.lanes).any()):
        raise MachineError("a division of integers by 0")


for _name, _function in ELEMENTWISE.items():
    BUILD[_name] = _computed(_function)


def _extended(program: Program, row: Decoded) -> Run:
    _, number, *ids = operands(row)
    if number not in EXTENDED:
        raise MachineError(f"this machine does not know instruction {number} of GLSL.std.450")
    function, result = EXTENDED[number], row.result

    def run(frame: Any, mask: Mask) -> None:
        frame.v[result] = function(*(frame.v[id_] for id_ in ids))

    return run


BUILD["ExtInst"] = _extended


def _component(program: Program, id_: int) -> tuple[Scalar, int]:
    type_ = program.type_of(id_)
    return (type_.component, 0) if isinstance(type_, Matrix) else scalar_of(type_)


def _converts(program: Program, row: Decoded) -> Run:
    (operand,), result = operands(row), row.result
    assert result is not None
    source, target = _component(program, operand), _component(program, result)
    function = bitcast(*source, *target) if row.name == "Bitcast" else conversion(row.name, source[0], target[0])
    _need_one_shape(program.type_of(operand), program.type_of(result))

    def run(frame: Any, mask: Mask) -> None:
        frame.v[result] = function(frame.v[operand])

    return run


def _need_one_shape(before: Any, after: Any) -> None:
    """Raises if a matrix becomes one of another shape, or a factor one of another use."""
    if isinstance(before, Matrix) or isinstance(after, Matrix):
        alike = isinstance(before, Matrix) and before == attrs.evolve(after, component=before.component, use=before.use)
        if not alike or before.use not in (after.use, _ACCUMULATOR):
            raise MachineError(f"{before} as {after}")


for _name in (
    "UConvert",
    "SConvert",
    "FConvert",
    "ConvertFToU",
    "ConvertFToS",
    "ConvertSToF",
    "ConvertUToF",
    "Bitcast",
):
    BUILD[_name] = _converts


# Vectors


def _construct(program: Program, row: Decoded) -> Run:
    ids, result = operands(row), row.result
    assert result is not None
    type_ = program.type_of(result)
    if isinstance(type_, Matrix):
        return _filled(type_, ids[0], result)
    if not isinstance(type_, Vector) or len(ids) != type_.lanes:
        raise MachineError("this machine puts together vectors of scalars alone")

    def run(frame: Any, mask: Mask) -> None:
        frame.v[result] = np.stack(np.broadcast_arrays(*(frame.v[id_] for id_ in ids)), -1)

    return run


def _filled(type_: Matrix, component: int, result: int) -> Run:
    def run(frame: Any, mask: Mask) -> None:
        frame.teams(mask, type_.scope)
        values = frame.same(frame.v[component], mask, type_.scope)
        frame.v[result] = np.broadcast_to(values[:, None, None], (len(values), type_.rows, type_.columns))

    return run


def _extract(program: Program, row: Decoded) -> Run:
    (source, *path), result = operands(row), row.result
    type_ = program.type_of(source)
    (place,) = path

    def run(frame: Any, mask: Mask) -> None:
        value = frame.v[source]
        frame.v[result] = value[place] if isinstance(value, tuple) else value[..., place]

    if isinstance(type_, Matrix):
        raise MachineError("components of matrices are reached through variables alone")
    return run


def _insert(program: Program, row: Decoded) -> Run:
    (part, whole, place), result = operands(row), row.result

    def run(frame: Any, mask: Mask) -> None:
        value, one = frame.v[whole], frame.v[part]
        shape = (*np.broadcast_shapes(value.shape[:-1], np.shape(one)), value.shape[-1])
        changed = np.broadcast_to(value, shape).copy()
        changed[..., place] = one
        frame.v[result] = changed

    return run


def _shuffle(program: Program, row: Decoded) -> Run:
    (a, b, *lanes), result = operands(row), row.result

    def run(frame: Any, mask: Mask) -> None:
        left, right = frame.v[a], frame.v[b]
        shape = np.broadcast_shapes(left.shape[:-1], right.shape[:-1])
        both = [np.broadcast_to(side, (*shape, side.shape[-1])) for side in (left, right)]
        frame.v[result] = np.concatenate(both, -1)[..., lanes]

    return run


def _dynamic(program: Program, row: Decoded) -> Run:
    (source, place), result = operands(row), row.result

    def run(frame: Any, mask: Mask) -> None:
        value, index = frame.v[source], np.asarray(frame.v[place], np.int64)
        shape = np.broadcast_shapes(value.shape[:-1], index.shape)
        value = np.broadcast_to(value, (*shape, value.shape[-1]))
        index = np.broadcast_to(np.minimum(index, value.shape[-1] - 1), shape)
        frame.v[result] = np.take_along_axis(value, index[..., None], -1)[..., 0]

    return run


def _undefined(program: Program, row: Decoded) -> Run:
    result = row.result
    assert result is not None
    scalar, lanes = scalar_of(program.type_of(result))

    def run(frame: Any, mask: Mask) -> None:
        frame.v[result] = nothing(scalar, (lanes,) if lanes else ())

    return run


BUILD |= {
    "CompositeConstruct": _construct,
    "CompositeExtract": _extract,
    "CompositeInsert": _insert,
    "VectorShuffle": _shuffle,
    "VectorExtractDynamic": _dynamic,
    "Undef": _undefined,
}
