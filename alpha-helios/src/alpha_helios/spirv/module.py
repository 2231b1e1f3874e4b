"""A module: ids, types and constants that exist once, capabilities as they are needed, and the binary that results."""

import struct
from collections.abc import Iterable, Sequence

from alpha_helios.spirv.opcodes import CAPABILITIES, DECORATIONS, EXT, INSTRUCTIONS, MODES, STORAGE
from alpha_helios.spirv.types import Type, i32

__all__ = ["Instruction", "Module", "instruction"]

Instruction = list[int]
"""The number of an instruction and its operands, word by word."""

_MAGIC = 0x07230203
_VERSION, _NEWER = 0x00010500, 0x00010600
"""Vulkan 1.2 takes SPIR-V 1.5; some extensions are written against 1.6, which Vulkan 1.3 takes."""
_NEEDS_NEWER = {"SPV_NV_cooperative_matrix2", "SPV_NV_tensor_addressing"}
_GLSL450, _VULKAN = 1, 3
_PHYSICAL_64 = 5348
_COMPUTE = 5
_NARROW_STORAGE = {8: "StorageBuffer8BitAccess", 16: "StorageBuffer16BitAccess"}
_ARITHMETIC = {
    ("i", 8): "Int8",
    ("i", 16): "Int16",
    ("i", 64): "Int64",
    ("f", 16): "Float16",
    ("f", 64): "Float64",
    ("bf", 16): "BFloat16TypeKHR",
}


def instruction(name: str, *operands: int) -> Instruction:
    return [INSTRUCTIONS[name][0], *operands]


def _text(value: str) -> list[int]:
    """A string as words: UTF-8, ended by a zero byte."""
    data = value.encode() + b"\0"
    data += b"\0" * (-len(data) % 4)
    return list(struct.unpack(f"<{len(data) // 4}I", data))


class Module:
    """Collects instructions by section and prints SPIR-V."""

    def __init__(self) -> None:
        self.requirements: set[str] = set()
        """Features that the device must have, by Vulkan's names."""
        self.bound = 1
        self._capabilities: dict[str, None] = {}
        self._extensions: dict[str, None] = {}
        self._modes: list[Instruction] = []
        self._names: list[Instruction] = []
        self._decorations: list[Instruction] = []
        self._declared: list[Instruction] = []
        self._unique: dict[tuple[object, ...], int] = {}
        self._types: dict[Type, int] = {}
        self._computed: set[Type] = set()
        self._decorated: set[tuple[int, ...]] = set()
        self._interface: list[int] = []
        self._glsl = 0
        self.vulkan_memory_model = False
        self._accesses: list[tuple[Instruction, int]] = []
        for name in ("Shader", "PhysicalStorageBufferAddresses"):
            self.capability(name)

    def new_id(self) -> int:
        self.bound += 1
        return self.bound - 1

    # What the device must be able to do

    def capability(self, name: str) -> None:
        row = CAPABILITIES[name]
        self._capabilities[name] = None
        if row.extension:
            self._extensions[row.extension] = None
        if row.requirement:
            self.requirements.add(row.requirement)

    def arithmetic(self, type_: Type) -> None:
        """Notes that values of the type are computed with, not only loaded, stored and converted."""
        if type_ in self._computed:
            return
        self._computed.add(type_)
        name = _ARITHMETIC.get((type_.kind, type_.bits))
        if name is not None:
            self.capability(name)

    def stored(self, type_: Type) -> None:
        """Notes that values of the type lie in buffers."""
        if type_.bits in _NARROW_STORAGE:
            self.capability(_NARROW_STORAGE[type_.bits])

    def mode(self, name: str, *operands: int) -> None:
        """Sets an execution mode, once."""
        row = [MODES[name], *operands]
        if row not in self._modes:
            self._modes.append(row)

    def shared_access(self, access: Instruction, position: int) -> None:
        """Remembers where an instruction says how it accesses memory that other invocations see."""
        self._accesses.append((access, position))

    # Declarations

    def unique(self, name: str, *operands: int) -> int:
        """Declares a type or constant that has no operand before its result id but perhaps its type, once."""
        key = (name, *operands)
        if key not in self._unique:
            self._unique[key] = result = self.new_id()
            typed = INSTRUCTIONS[name][1][0] == "t"
            words = [operands[0], result, *operands[1:]] if typed else [result, *operands]
            self._declared.append(instruction(name, *words))
        return self._unique[key]

    def declare(self, name: str, *operands: int, result: int = 0) -> int:
        """Declares something that may exist more than once, such as a variable or a struct."""
        result = result or self.new_id()
        typed = INSTRUCTIONS[name][1][0] == "t"
        words = [operands[0], result, *operands[1:]] if typed else [result, *operands]
        self._declared.append(instruction(name, *words))
        return result

    def type(self, type_: Type) -> int:
        if type_ not in self._types:
            self._types[type_] = self._declared_type(type_)
        return self._types[type_]

    def _declared_type(self, type_: Type) -> int:
        if type_.lanes:
            return self.unique("TypeVector", self.type(type_.scalar), type_.lanes)
        if type_.is_bool:
            return self.unique("TypeBool")
        if type_.kind == "bf":
            self.capability("BFloat16TypeKHR")
            return self.unique("TypeFloat", type_.bits, 0)
        if type_.bits == 64:  # neither is ever only stored: addresses are computed
            self.arithmetic(type_)
        return self.unique("TypeFloat", type_.bits) if type_.is_float else self.unique("TypeInt", type_.bits, 0)

    def pointer_type(self, storage: str, pointee: int) -> int:
        return self.unique("TypePointer", STORAGE[storage], pointee)

    def void(self) -> int:
        return self.unique("TypeVoid")

    def constant(self, type_: Type, value: float) -> int:
        """Declares a constant; a vector has the value in every lane."""
        if type_.lanes:
            lane = self.constant(type_.scalar, value)
            return self.unique("ConstantComposite", self.type(type_), *[lane] * type_.lanes)
        if type_.is_bool:
            return self.unique("ConstantTrue" if value else "ConstantFalse", self.type(type_))
        self.arithmetic(type_)
        return self.unique("Constant", self.type(type_), *self._literal(type_, value))

    def constants(self, type_: Type, values: Iterable[float]) -> int:
        """Declares a vector constant, lane by lane."""
        lanes = [self.constant(type_.scalar, value) for value in values]
        return self.unique("ConstantComposite", self.type(type_), *lanes)

    def specialization(self, type_: Type, number: int, default: float) -> int:
        """Declares a constant that the pipeline may replace, by its number."""
        if type_.is_bool:
            result = self.declare("SpecConstantTrue" if default else "SpecConstantFalse", self.type(type_))
        else:
            self.arithmetic(type_)
            result = self.declare("SpecConstant", self.type(type_), *self._literal(type_, default))
        self.decorate(result, "SpecId", number)
        return result

    def _literal(self, type_: Type, value: float) -> list[int]:
        bits = type_.encode(value)
        if type_.is_integer and type_.bits < 32:
            return [bits]  # without a sign, so the high bits are 0
        return [bits & 0xFFFFFFFF, bits >> 32] if type_.bits == 64 else [bits]

    def array_type(self, element: int, count: int) -> int:
        return self.unique("TypeArray", element, self.constant(i32, count))

    def runtime_array_type(self, element: int, stride: int) -> int:
        """An array in a buffer, of unknown length."""
        array = self.unique("TypeRuntimeArray", element)
        self.decorate(array, "ArrayStride", stride)
        return array

    def variable(self, storage: str, pointee: int, result: int = 0) -> int:
        """Declares a variable of the whole module."""
        result = self.declare("Variable", self.pointer_type(storage, pointee), STORAGE[storage], result=result)
        self._interface.append(result)
        return result

    def decorate(self, target: int, name: str, *operands: int) -> None:
        key = (target, DECORATIONS[name], *operands)
        if key not in self._decorated:
            self._decorated.add(key)
            self._decorations.append(instruction("Decorate", *key))

    def decorate_member(self, target: int, member: int, name: str, *operands: int) -> None:
        key = (target, member, DECORATIONS[name], *operands)
        if key not in self._decorated:
            self._decorated.add(key)
            self._decorations.append(instruction("MemberDecorate", *key))

    def name(self, target: int, text: str) -> None:
        """Gives an id a name for people."""
        self._names.append(instruction("Name", target, *_text(text)))

    def extended(self, name: str) -> tuple[int, int]:
        """Returns the id of GLSL.std.450 and the number of one of its instructions."""
        self._glsl = self._glsl or self.new_id()
        return self._glsl, EXT[name]

    # The binary

    def serialize(self, entry: int, functions: Sequence[Instruction]) -> bytes:
        """Returns the module's words, little-endian; `entry` is the id of the function to run."""
        nonprivate = 0x20  # the Vulkan memory model takes accesses as private unless this bit is set
        for access, position in self._accesses if self.vulkan_memory_model else ():
            access[position] |= nonprivate
        model = _VULKAN if self.vulkan_memory_model else _GLSL450
        lines = [instruction("Capability", CAPABILITIES[name].number) for name in self._capabilities]
        lines += [instruction("Extension", *_text(name)) for name in self._extensions]
        if self._glsl:
            lines.append(instruction("ExtInstImport", self._glsl, *_text("GLSL.std.450")))
        lines.append(instruction("MemoryModel", _PHYSICAL_64, model))
        lines.append(instruction("EntryPoint", _COMPUTE, entry, *_text("main"), *self._interface))
        lines += [instruction("ExecutionMode", entry, *mode) for mode in self._modes]
        lines += [*self._names, *self._decorations, *self._declared, *functions]
        version = _VERSION if _NEEDS_NEWER.isdisjoint(self._extensions) else _NEWER
        words = [_MAGIC, version, 0, self.bound, 0]
        for line in lines:
            words.append(len(line) << 16 | line[0])
            words += line[1:]
        return struct.pack(f"<{len(words)}I", *words)
