"""A module, taken apart once: types, constants, and functions whose blocks are lists of what can be called."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
from tests.helios.machine.values import (
    ArrayType,
    Layout,
    MachineError,
    Matrix,
    Opaque,
    Pointer,
    Scalar,
    Struct,
    Type,
    Vector,
    View,
    from_memory,
)

from alpha_helios.spirv.disassemble import Decoded, decode
from alpha_helios.spirv.opcodes import BUILTINS, DECORATIONS, MODES, STORAGE

__all__ = ["BUILD", "Block", "Function", "Program", "Run", "described", "operands"]

Run = Callable[[Any, Any], None]
"""An instruction: it is given the frame and the mask."""
BUILD: dict[str, Callable[["Program", Decoded], Run]] = {}
"""What makes an instruction of a row of a module, by name. The modules beside this one fill it."""

_SCOPES = {1: "device", 2: "workgroup", 3: "subgroup"}
_STORAGE = {number: name for name, number in STORAGE.items()}
_BUILTINS = {number: name for name, number in BUILTINS.items()}
_NO_EFFECT = ("Name", "MemberName", "Line", "NoLine", "MemoryBarrier")


@attrs.define
class Block:
    """Instructions one after the other, and where they lead."""

    runs: list[tuple[Run, Decoded]] = attrs.field(factory=list)
    merge: Decoded | None = None
    end: Decoded | None = None


@attrs.define
class Function:
    first: int = 0
    parameters: list[int] = attrs.field(factory=list)
    variables: list[Decoded] = attrs.field(factory=list)
    blocks: dict[int, Block] = attrs.field(factory=dict)


class Program:
    """A module that can be run."""

    def __init__(self, code: bytes, specialization: Mapping[int, int] | None = None) -> None:
        """Reads a module; `specialization` replaces the bits of constants by their `SpecId`."""
        self.types: dict[int, Type] = {}
        self.constants: dict[int, Any] = {}
        self.shared: dict[int, Pointer] = {}
        """Variables that a workgroup shares."""
        self.inputs: dict[int, str] = {}
        """Variables that hold a builtin."""
        self.pushed: list[int] = []
        """Variables that stand for the push constants."""
        self.functions: dict[int, Function] = {}
        self.workgroup = (1, 1, 1)
        self.entry = 0
        self.bound = int.from_bytes(code[12:16], "little")
        self._specialization = dict(specialization or {})
        self._typed: dict[int, int] = {}
        self._decorations: dict[tuple[int, int], tuple[int, ...]] = {}
        self._members: dict[tuple[int, int], int] = {}
        self._read(list(decode(code)))

    def type_of(self, id_: int) -> Type:
        """Returns the type of a value."""
        return self.types[self._typed[id_]]

    def constant(self, id_: int) -> int:
        """Returns a whole number that is known."""
        if id_ not in self.constants:
            raise MachineError(f"%{id_} is no constant")
        return int(self.constants[id_])

    def scope(self, id_: int) -> str:
        return _SCOPES[self.constant(id_)]

    def _read(self, rows: list[Decoded]) -> None:
        function: Function | None = None
        block: Block | None = None
        for row in rows:
            if row.result is not None and row.type is not None:
                self._typed[row.result] = row.type
            if row.name == "Function":
                assert row.result is not None
                function = self.functions[row.result] = Function()
            elif row.name == "FunctionEnd":
                function = block = None
            elif function is None:
                self._declare(row)
            elif row.name == "FunctionParameter":
                function.parameters.append(_id(row))
            elif row.name == "Label":
                function.first = function.first or _id(row)
                block = function.blocks[_id(row)] = Block()
            elif row.name == "Variable":
                function.variables.append(row)
            else:
                assert block is not None
                self._append(block, row)

    def _append(self, block: Block, row: Decoded) -> None:
        if row.name in ("SelectionMerge", "LoopMerge"):
            block.merge = row
        elif row.name in ("Branch", "BranchConditional", "Return", "ReturnValue", "Unreachable"):
            block.end = row
        elif row.name not in _NO_EFFECT:
            if row.name not in BUILD:
                raise MachineError(f"this machine does not know the instruction {row.name}")
            try:
                block.runs.append((BUILD[row.name](self, row), row))
            except MachineError as error:
                raise MachineError(f"{described(row)}: {error}") from error

    def _declare(self, row: Decoded) -> None:
        values = [value for _, value in row.operands]
        if row.name == "EntryPoint":
            self.entry = int(values[1])
        elif row.name == "ExecutionMode" and values[1] == MODES["LocalSize"]:
            self.workgroup = (int(values[2]), int(values[3]), int(values[4]))
        elif row.name == "Decorate":
            self._decorations[int(values[0]), int(values[1])] = tuple(int(value) for value in values[2:])
        elif row.name == "MemberDecorate" and values[2] == DECORATIONS["Offset"]:
            self._members[int(values[0]), int(values[1])] = int(values[3])
        elif row.name.startswith("Type"):
            self.types[_id(row)] = self._type(row, [value for value in values if isinstance(value, int)])
        elif "Constant" in row.name or row.name == "Undef":
            self.constants[_id(row)] = self._constant(row, [int(value) for value in values])
        elif row.name == "Variable":
            self._variable(row)

    def _variable(self, row: Decoded) -> None:
        pointer, id_ = self.type_of(_id(row)), _id(row)
        assert isinstance(pointer, Pointer)
        if pointer.storage == "Workgroup":
            self.shared[id_] = pointer
        elif pointer.storage == "PushConstant":
            self.pushed.append(id_)
        elif pointer.storage == "Input":
            self.inputs[id_] = _BUILTINS[self._decorations[id_, DECORATIONS["BuiltIn"]][0]]
        else:
            raise MachineError(f"a variable of storage {pointer.storage} outside of functions")

    def _type(self, row: Decoded, values: list[int]) -> Type:
        id_ = _id(row)
        match row.name:
            case "TypeBool":
                return Scalar("bool", 8)
            case "TypeInt":
                return Scalar("int", values[0])
            case "TypeFloat":
                return Scalar("bfloat" if len(values) > 1 else "float", values[0])
            case "TypeVector":
                scalar = self.types[values[0]]
                assert isinstance(scalar, Scalar)
                return Vector(scalar, values[1])
            case "TypeArray" | "TypeRuntimeArray":
                count = self.constant(values[1]) if row.name == "TypeArray" else None
                (stride,) = self._decorations.get((id_, DECORATIONS["ArrayStride"]), (0,))
                return ArrayType(self.types[values[0]], count, stride)
            case "TypeStruct":
                offsets = tuple(self._members.get((id_, member), 0) for member in range(len(values)))
                return Struct(tuple(self.types[value] for value in values), offsets)
            case "TypePointer":
                return Pointer(_STORAGE[values[0]], self.types[values[1]])
            case "TypeCooperativeMatrixKHR":
                component = self.types[values[0]]
                assert isinstance(component, Scalar)
                rows, columns, use = (self.constant(value) for value in values[2:5])
                return Matrix(component, rows, columns, use, self.scope(values[1]))
            case "TypeTensorLayoutNV":
                return Layout(self.constant(values[0]), self.constant(values[1]))
            case "TypeTensorViewNV":
                axes, reshaped, *order = (self.constant(value) for value in values)
                return View(axes, bool(reshaped), tuple(order))
        return Opaque(row.name)

    def _constant(self, row: Decoded, values: list[int]) -> Any:
        assert row.type is not None
        type_ = self.types[row.type]
        given = self._decorations.get((_id(row), DECORATIONS["SpecId"]))
        if row.name == "Undef":
            raise MachineError("this machine knows no Undef outside of functions")
        if row.name == "ConstantComposite":
            return np.stack([self.constants[value] for value in values])
        assert isinstance(type_, Scalar)
        if type_.kind == "bool":
            default = row.name.endswith("True")
            return np.bool_(self._specialization.get(given[0], default) if given else default)
        if given and given[0] in self._specialization:
            values = [self._specialization[given[0]]]
        bits = np.array([values[0] & (1 << type_.bits) - 1], f"u{type_.nbytes}")
        return from_memory(bits.view(type_.stored), type_)[0]


def operands(row: Decoded) -> list[int]:
    """Returns the ids and numbers of a row in order, without its type and result."""
    return [int(value) for _, value in row.operands]


def described(row: Decoded) -> str:
    """Names an instruction in errors."""
    result = f"%{row.result} = " if row.result is not None else ""
    return f"{result}{row.name} " + " ".join(f"%{value}" if kind == "i" else str(value) for kind, value in row.operands)


def _id(row: Decoded) -> int:
    assert row.result is not None
    return row.result
