"""The kernel under construction that a builder receives: arguments, the place of an invocation, and the result.

An argument is an address, an integer or a number. Arguments lie one after the other in the order in which the kernel
asks for them, each at a multiple of its size: in push constants, or in memory whose address the push constants hold.
"""

from collections.abc import Sequence
from typing import Literal

import attrs

from alpha_helios.spirv.cooperative import Product
from alpha_helios.spirv.module import instruction
from alpha_helios.spirv.opcodes import BUILTINS
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.tensor import Tensors
from alpha_helios.spirv.types import Type, f32, i32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["PUSH_BYTES", "Argument", "Binary", "Kernel", "TooManyArgumentsError"]

PUSH_BYTES = 128
"""How many bytes of push constants every Vulkan device has."""

Kind = Literal["address", "i32", "i64", "f32"]
Argument = tuple[Kind, int]
"""What an argument is, and where it lies."""
_TYPES: dict[Kind, Type] = {"address": i64, "i64": i64, "i32": i32, "f32": f32}


class TooManyArgumentsError(ValueError):
    """Push constants have no room for another argument."""


@attrs.frozen
class Binary:
    """A finished kernel, and what a runtime must know to start it."""

    code: bytes
    workgroup: tuple[int, int, int]
    in_memory: bool
    """The push constants hold only the address of the arguments."""
    arguments: tuple[Argument, ...]
    argument_bytes: int
    shared_bytes: int
    subgroup_size: int | None
    """The subgroup size that the kernel was built for; None works with any."""
    requirements: frozenset[str]
    """Features that the device must have."""
    products: frozenset[Product]
    """Products of cooperative matrices that the device must have."""

    @property
    def full_subgroups(self) -> bool:
        """Whether every subgroup has all its invocations; a runtime can ask for that where the sizes allow it."""
        return self.subgroup_size is not None and self.workgroup[0] % self.subgroup_size == 0


class Kernel(Tensors):
    """One compute kernel of workgroups of x * y * z invocations.

    Args:
        workgroup: The size of a workgroup.
        arguments: Where the arguments lie: `push` for push constants (at most 128 bytes), `memory` for a block behind
            an address that alone is pushed.
        subgroup_size: The size of a subgroup if the kernel relies on it; the runtime must ask the device for it.
    """

    def __init__(
        self,
        workgroup: Sequence[int] = (64, 1, 1),
        arguments: Literal["push", "memory"] = "push",
        subgroup_size: int | None = None,
    ) -> None:
        super().__init__()
        x, y, z = workgroup
        if min(x, y, z) < 1:
            raise ValueError(f"a workgroup of {x} x {y} x {z} invocations")
        if arguments not in ("push", "memory"):
            raise ValueError(f"arguments={arguments!r}; they lie in 'push' or in 'memory'")
        self.workgroup = (x, y, z)
        self.invocations = x * y * z
        """How many invocations a workgroup has."""
        self.required_subgroup = subgroup_size
        if subgroup_size is not None:
            self.module.requirements.add("subgroupSizeControl")
        self._in_memory = arguments == "memory"
        self._arguments: list[Argument] = []
        self._used = 0
        self._push = 0
        self._block: Value | None = None
        self._inputs: dict[str, Value] = {}
        self._binary: Binary | None = None
        self._entry = self.module.new_id()

    # Arguments

    def pointer(self, element: Type = f32, alignment: int | None = None, *, readonly: bool = False) -> Pointer:
        """Takes the next argument, an address.

        `alignment` is what vector accesses may rely on, if less than their size; stores through a `readonly` pointer
        are refused, and nothing else may write there while the kernel runs.
        """
        return Pointer(self._argument("address"), element, alignment=alignment, readonly=readonly)

    def integer(self) -> Value:
        """Takes the next argument, an i32."""
        return self._argument("i32")

    def long(self) -> Value:
        """Takes the next argument, an i64."""
        return self._argument("i64")

    def number(self) -> Value:
        """Takes the next argument, an f32."""
        return self._argument("f32")

    def table(self, count: int, kind: Kind = "address") -> Pointer:
        """Takes the next `count` arguments, all of one kind, as a row that can be indexed; an address is an i64 there.

        Only arguments in memory can be indexed: in push constants there is no room for a table.
        """
        if count < 1:
            raise ValueError(f"a table of {count} arguments; there must be at least one")
        if not self._in_memory:
            raise TooManyArgumentsError(
                f"the {count} arguments from {len(self._arguments)} on are a table, which can lie only in memory;"
                " build the kernel with arguments='memory'"
            )
        element = _TYPES[kind]
        first = self._used + -self._used % element.nbytes
        self._arguments += [(kind, first + place * element.nbytes) for place in range(count)]
        self._used = first + count * element.nbytes
        return Pointer(self._arguments_address(), element, first, readonly=True)

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """What the arguments are and where they lie, in order."""
        return tuple(self._arguments)

    @property
    def argument_bytes(self) -> int:
        """The size of the arguments together."""
        return self._used

    def _argument(self, kind: Kind) -> Value:
        type_ = _TYPES[kind]
        offset = self._used + -self._used % type_.nbytes
        if not self._in_memory and offset + type_.nbytes > PUSH_BYTES:
            raise TooManyArgumentsError(
                f"argument {len(self._arguments)} ({kind}) ends at byte {offset + type_.nbytes} of the push constants;"
                f" devices have {PUSH_BYTES} bytes of them; build the kernel with arguments='memory'"
            )
        self._arguments.append((kind, offset))
        self._used = offset + type_.nbytes
        if self._in_memory:
            return self._from_memory(type_, offset)
        return self._pushed(type_, len(self._arguments) - 1)

    def _pushed(self, type_: Type, member: int) -> Value:
        self._push = self._push or self.module.new_id()
        pointer = self.module.pointer_type("PushConstant", self.module.type(type_))
        index = self.module.constant(i32, member)
        chain = self.module.new_id()
        self._main.first.append(instruction("AccessChain", pointer, chain, self._push, index))
        return self.emit_first(type_, "Load", chain)

    def _from_memory(self, type_: Type, offset: int) -> Value:
        address = self.emit_first(i64, "IAdd", self._arguments_address().id, self.module.constant(i64, offset))
        pointer = self.module.pointer_type("PhysicalStorageBuffer", self.module.type(type_))
        target = self.module.new_id()
        self._main.first.append(instruction("ConvertUToPtr", pointer, target, address.id))
        return self.emit_first(type_, "Load", target, 0x2, type_.nbytes)  # aligned

    def _arguments_address(self) -> Value:
        """Where the arguments lie in memory."""
        if self._block is None:
            self._block = self._pushed(i64, 0)
        return self._block

    # The place of an invocation

    def group(self, axis: int) -> Value:
        """Which workgroup this is, along an axis."""
        return self._along("WorkgroupId", axis)

    def groups(self, axis: int) -> Value:
        """How many workgroups there are along an axis."""
        return self._along("NumWorkgroups", axis)

    def local(self, axis: int) -> Value:
        """Which invocation of its workgroup this is, along an axis."""
        return self._along("LocalInvocationId", axis)

    def global_(self, axis: int) -> Value:
        """Which invocation of all this is, along an axis."""
        return self._along("GlobalInvocationId", axis)

    @property
    def local_index(self) -> Value:
        """Which invocation of its workgroup this is: x + (y + z * sizes) * sizes."""
        return self._input("LocalInvocationIndex", i32)

    @property
    def subgroup_id(self) -> Value:
        """Which subgroup of its workgroup this is."""
        return self._subgroup_input("SubgroupId")

    @property
    def subgroup_count(self) -> Value:
        """How many subgroups a workgroup has."""
        return self._subgroup_input("NumSubgroups")

    @property
    def subgroup_lane(self) -> Value:
        """Which invocation of its subgroup this is."""
        return self._subgroup_input("SubgroupLocalInvocationId")

    @property
    def subgroup_size(self) -> Value:
        """How many invocations a subgroup may have."""
        return self._subgroup_input("SubgroupSize")

    def _along(self, name: str, axis: int) -> Value:
        if axis not in (0, 1, 2):
            raise ValueError(f"axis {axis}; there are 0, 1 and 2")
        key = f"{name}{axis}"
        if key not in self._inputs:
            whole = self._input(name, vector(i32, 3))
            self._inputs[key] = self.emit_first(i32, "CompositeExtract", whole.id, axis)
        return self._inputs[key]

    def _subgroup_input(self, name: str) -> Value:
        self.module.capability("GroupNonUniform")
        return self._input(name, i32)

    def _input(self, name: str, type_: Type) -> Value:
        if name not in self._inputs:
            variable = self.module.variable("Input", self.module.type(type_))
            self.module.decorate(variable, "BuiltIn", BUILTINS[name])
            self._inputs[name] = self.emit_first(type_, "Load", variable)
        return self._inputs[name]

    # How floats behave

    def preserve_nan(self, bits: int = 32) -> None:
        """Has the device keep NaN, infinities and the sign of 0 in arithmetic of floats of `bits`."""
        self._control("SignedZeroInfNanPreserve", bits)

    def preserve_denormals(self, bits: int = 32) -> None:
        """Has the device compute with denormal floats of `bits`."""
        self._control("DenormPreserve", bits)

    def flush_denormals(self, bits: int = 32) -> None:
        """Has the device take denormal floats of `bits` as 0."""
        self._control("DenormFlushToZero", bits)

    def round_to_nearest(self, bits: int = 16) -> None:
        """Has the device round to nearest even wherever a result is a float of `bits`."""
        self._control("RoundingModeRTE", bits)

    def _control(self, name: str, bits: int) -> None:
        if bits not in (16, 32, 64):
            raise ValueError(f"floats of {bits} bits; there are 16, 32 and 64")
        self.module.capability(name)
        self.module.requirements.add(f"shader{name}Float{bits}")
        self.module.mode(name, bits)

    # The result

    def finish(self) -> Binary:
        """Ends the kernel and returns it. Nothing can be added afterwards."""
        if self._binary is None:
            self._binary = self._finished()
        return self._binary

    def _finished(self) -> Binary:
        if len(self._code.scopes) > 1:
            raise ValueError(f"the kernel is finished inside {self._code.scopes[-1].name}, which is still open")
        if not self._code.ended:
            self._end("the end of the kernel", "Return")
        self._code.ended = "the end of the kernel"
        self.module.mode("LocalSize", *self.workgroup)
        self._declare_push()
        self._finish_memory()
        void = self.module.void()
        start = [
            instruction("Function", void, self._entry, 0, self.module.unique("TypeFunction", void)),
            instruction("Label", self.module.new_id()),
        ]
        main = [*start, *self._code.variables, *self._code.first, *self._code.body, instruction("FunctionEnd")]
        self.module.name(self._entry, "main")
        return Binary(
            code=self.module.serialize(self._entry, [*main, *self._functions]),
            workgroup=self.workgroup,
            in_memory=self._in_memory,
            arguments=self.arguments,
            argument_bytes=self.argument_bytes,
            shared_bytes=self.shared_bytes,
            subgroup_size=self.required_subgroup,
            requirements=frozenset(self.module.requirements),
            products=frozenset(self.products),
        )

    def _declare_push(self) -> None:
        if not self._push:
            return
        members: Sequence[Argument] = (("address", 0),) if self._in_memory else self._arguments
        block = self.module.declare("TypeStruct", *(self.module.type(_TYPES[kind]) for kind, _ in members))
        self.module.decorate(block, "Block")
        for member, (_, offset) in enumerate(members):
            self.module.decorate_member(block, member, "Offset", offset)
        self.module.variable("PushConstant", block, self._push)
        self.module.name(self._push, "arguments")
