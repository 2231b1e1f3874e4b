"""What every part of a kernel's builder stands on: instructions of a function, and checks of values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import attrs

from alpha_helios.spirv.module import Instruction, Module, instruction
from alpha_helios.spirv.types import Type, vector
from alpha_helios.spirv.value import Handle, Number, Value

if TYPE_CHECKING:
    from alpha_helios.spirv.kernel import Kernel

__all__ = ["Builder", "Code", "Scope"]

_CONVERSIONS = ("UConvert", "SConvert", "FConvert")  # may touch types that the device cannot compute with


@attrs.define(eq=False)
class Scope:
    """A stretch of code between the braces of control flow: what is computed there may be used until it closes."""

    name: str
    code: "Code"
    open: bool = True
    # Of loops:
    exit: int = 0
    next: int = 0


class Code:
    """One function: variables, what runs first, and the rest."""

    def __init__(self, name: str) -> None:
        self.variables: list[Instruction] = []
        self.first: list[Instruction] = []
        self.body: list[Instruction] = []
        self.scopes = [Scope(name, self)]
        self.ended = ""
        """What ended the current block, so that nothing can follow; empty if it goes on."""


class Builder:
    """Emits instructions into the function under construction."""

    def __init__(self) -> None:
        self.module = Module()
        self.exact = True
        """Keeps products and sums apart (`NoContraction`); `fma` fuses where that is wanted."""
        self._code = Code("the kernel")
        self._main = self._code

    # Instructions

    def emit(self, type_: Type, name: str, *operands: Handle | int) -> Value:
        """Appends an instruction that has a result; plain integers among the operands are words as they are."""
        if name not in _CONVERSIONS:
            for known in (type_, *(operand.type for operand in operands if isinstance(operand, Value))):
                self.module.arithmetic(known)
        return self.value(type_, self.emit_raw(self.module.type(type_), name, *operands))

    def emit_raw(self, type_id: int, name: str, *operands: Handle | int) -> int:
        """Appends an instruction whose result has a type of any kind, and returns the id of the result."""
        words = [self._word(name, operand) for operand in operands]
        result = self.module.new_id()
        self._append(instruction(name, type_id, result, *words))
        return result

    def emit_void(self, name: str, *operands: Handle | int) -> Instruction:
        """Appends an instruction without a result."""
        line = instruction(name, *(self._word(name, operand) for operand in operands))
        self._append(line)
        return line

    def emit_first(self, type_: Type, name: str, *operands: int) -> Value:
        """Appends an instruction that runs before the rest of the kernel, so that the result is known everywhere."""
        result = self.module.new_id()
        self._main.first.append(instruction(name, self.module.type(type_), result, *operands))
        return Value(self._self, type_, result, self._main.scopes[0])

    def extended(self, name: str, type_: Type, *operands: Value) -> Value:
        """Calls an instruction of GLSL.std.450."""
        return self.emit(type_, "ExtInst", *self.module.extended(name), *operands)

    def value(self, type_: Type, id_: int) -> Value:
        return Value(self._self, type_, id_, self._code.scopes[-1])

    # Operands

    def constant(self, type_: Type, value: float) -> Value:
        """A constant; a vector has the number in every lane."""
        return Value(self._self, type_, self.module.constant(type_, value))

    def constants(self, element: Type, *values: float) -> Value:
        """A vector of constants."""
        type_ = vector(element, len(values))
        return Value(self._self, type_, self.module.constants(type_, values))

    def specialization(self, type_: Type, number: int, default: float) -> Value:
        """A constant that may be replaced by `number` when the pipeline is made."""
        return Value(self._self, type_, self.module.specialization(type_, number, default))

    def lift(self, value: Number, type_: Type) -> Value:
        """Makes a number, or a scalar where a vector is needed, a value of `type_`."""
        if not isinstance(value, Value):
            return self.constant(type_, value)
        self.check(value)
        if value.type == type_:
            return value
        if type_.lanes and not value.type.lanes and value.type == type_.scalar:
            return self.splat(value, type_.lanes)
        raise TypeError(f"a value of type {value.type} where {type_} is needed; `k.convert` converts numbers")

    def splat(self, value: Value, lanes: int) -> Value:
        """Spreads a scalar over the lanes of a vector."""
        if value.type.lanes:
            raise TypeError(f"`splat` takes a scalar, not {value.type}")
        type_ = vector(value.type, lanes)
        return self.emit(type_, "CompositeConstruct", *[value] * lanes) if type_.lanes else value

    def pair(self, name: str, a: Number, b: Number) -> tuple[Value, Value]:
        """Gives two operands of `name` one type."""
        try:
            if isinstance(a, Value) and (not isinstance(b, Value) or a.type.lanes >= b.type.lanes):
                self.check(a)
                return a, self.lift(b, a.type)
            if isinstance(b, Value):
                self.check(b)
                return self.lift(a, b.type), b
        except (TypeError, ValueError) as error:
            raise type(error)(f"`{name}` of {_spell(a)} and {_spell(b)}: {error}") from None
        raise TypeError(f"`{name}` of {_spell(a)} and {_spell(b)}: one of them must be a value of the kernel")

    def need(self, name: str, value: Value, expected: str, fits: bool) -> None:
        """Raises unless `fits`: `name` was called with a value of the wrong type."""
        if not fits:
            raise TypeError(f"`{name}` takes {expected}, not {value.type}")

    def check(self, value: Handle) -> None:
        """Raises if a value may not be used here."""
        if not isinstance(value, Handle):
            raise TypeError(f"{value!r} ({type(value).__name__}) where a value of the kernel is needed")
        if value.kernel is not self:
            raise ValueError(f"the value {value} belongs to another kernel")
        self.check_scope(value.scope, value)

    def check_scope(self, scope: Scope | None, what: object) -> None:
        """Raises if `what`, which was made in a scope, is not known here; it is printed only then."""
        if scope is None or (scope.open and scope.code is self._code):
            return
        what = f"the value {what}" if isinstance(what, Handle) else what
        if scope.code is not self._code:
            raise ValueError(
                f"{what} was computed in {scope.code.scopes[0].name} and is not known in {self._code.scopes[0].name};"
                " pass it as an operand"
            )
        raise ValueError(
            f"{what} was computed inside {scope.name}, which has ended; assign it to a `k.variable` made before"
        )

    @property
    def _self(self) -> "Kernel":
        return cast("Kernel", self)

    def _word(self, name: str, operand: Handle | int) -> int:
        if not isinstance(operand, Handle):
            return operand
        try:
            self.check(operand)
        except ValueError as error:
            raise ValueError(f"Op{name}: {error}") from None
        return operand.id

    # Blocks

    def _append(self, line: Instruction) -> None:
        if self._code.ended:
            raise ValueError(f"nothing can follow {self._code.ended} in the same block")
        self._code.body.append(line)

    def _open(self, label: int) -> None:
        self._code.ended = ""
        self._code.body.append(instruction("Label", label))

    def _end(self, reason: str, name: str, *operands: Handle | int) -> None:
        """Ends the block with a jump or a return."""
        self.emit_void(name, *operands)
        self._code.ended = reason

    @contextmanager
    def _scope(self, name: str) -> Iterator[Scope]:
        scope = Scope(name, self._code)
        self._code.scopes.append(scope)
        try:
            yield scope
        finally:
            scope.open = False
            self._code.scopes.pop()


def _spell(value: Number) -> str:
    return str(value.type) if isinstance(value, Value) else repr(value)
