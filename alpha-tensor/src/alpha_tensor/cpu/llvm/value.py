"""Values of a function under construction: arithmetic with Python's operators, and memory behind typed pointers."""

from typing import TYPE_CHECKING, Union

from alpha_tensor.cpu.llvm.types import Type, i8, i64, pointer

if TYPE_CHECKING:
    from alpha_tensor.cpu.llvm.function import Function

__all__ = ["Number", "Pointer", "Value", "Variable"]

Number = Union["Value", int, float]


class Value:
    """One SSA value. A plain number in an expression takes on the type of the other operand; a scalar beside a vector
    is spread over its lanes. Integers are signed, and `//` and `%` round toward zero."""

    __slots__ = ("function", "text", "type")
    __hash__ = None  # type: ignore[assignment]  # `==` makes a comparison, so values cannot be looked up

    def __init__(self, function: "Function", type_: Type, text: str) -> None:
        self.function, self.type, self.text = function, type_, text

    def __add__(self, other: Number) -> "Value":
        return self.function.binary("add", self, other)

    def __sub__(self, other: Number) -> "Value":
        return self.function.binary("sub", self, other)

    def __mul__(self, other: Number) -> "Value":
        return self.function.binary("mul", self, other)

    def __truediv__(self, other: Number) -> "Value":
        return self.function.binary("div", self, other)

    def __floordiv__(self, other: Number) -> "Value":
        return self.function.binary("div", self, other)

    def __mod__(self, other: Number) -> "Value":
        return self.function.binary("rem", self, other)

    def __and__(self, other: Number) -> "Value":
        return self.function.binary("and", self, other)

    def __or__(self, other: Number) -> "Value":
        return self.function.binary("or", self, other)

    def __xor__(self, other: Number) -> "Value":
        return self.function.binary("xor", self, other)

    def __lshift__(self, other: Number) -> "Value":
        return self.function.binary("shl", self, other)

    def __rshift__(self, other: Number) -> "Value":
        """A logical shift: zeros come in."""
        return self.function.binary("lshr", self, other)

    def __radd__(self, other: Number) -> "Value":
        return self.function.binary("add", other, self)

    def __rsub__(self, other: Number) -> "Value":
        return self.function.binary("sub", other, self)

    def __rmul__(self, other: Number) -> "Value":
        return self.function.binary("mul", other, self)

    def __rtruediv__(self, other: Number) -> "Value":
        return self.function.binary("div", other, self)

    def __rfloordiv__(self, other: Number) -> "Value":
        return self.function.binary("div", other, self)

    def __neg__(self) -> "Value":
        return self.function.negate(self)

    def __lt__(self, other: Number) -> "Value":
        return self.function.compare("lt", self, other)

    def __le__(self, other: Number) -> "Value":
        return self.function.compare("le", self, other)

    def __gt__(self, other: Number) -> "Value":
        return self.function.compare("gt", self, other)

    def __ge__(self, other: Number) -> "Value":
        return self.function.compare("ge", self, other)

    def __eq__(self, other: Number) -> "Value":  # type: ignore[override]
        return self.function.compare("eq", self, other)

    def __ne__(self, other: Number) -> "Value":  # type: ignore[override]
        return self.function.compare("ne", self, other)

    def __bool__(self) -> bool:
        raise TypeError("a value is known only when the kernel runs; use `if_` of the function, or `select`")

    def __str__(self) -> str:
        return f"{self.type} {self.text}"


class Pointer:
    """An address with the type of the elements there. Indices count elements."""

    __slots__ = ("address", "element")

    def __init__(self, address: Value, element: Type) -> None:
        self.address, self.element = address, element

    def __add__(self, index: Number) -> "Pointer":
        function = self.address.function
        offset = function.lift(index, i64)
        moved = function.emit(pointer, f"getelementptr {self.element}, {self.address}, {offset}")
        return Pointer(moved, self.element)

    def at(self, bytes_: Number, element: Type | None = None) -> "Pointer":
        """Moves by bytes, and changes the element type if one is given."""
        return Pointer((Pointer(self.address, i8) + bytes_).address, element or self.element)

    def cast(self, element: Type) -> "Pointer":
        return Pointer(self.address, element)

    def __getitem__(self, index: Number) -> Value:
        return self.load(index)

    def __setitem__(self, index: Number, value: Number) -> None:
        self.store(index, value)

    def load(self, index: Number = 0, lanes: int = 0, mask: Value | None = None) -> Value:
        """Loads one element, or a vector of `lanes` neighbours. Where `mask` is false nothing is read, giving 0."""
        return self.address.function.load(self + index, lanes, mask)

    def store(self, index: Number, value: Number, mask: Value | None = None) -> None:
        """Stores an element, or a vector into neighbours; nothing where `mask` is false."""
        self.address.function.store(self + index, value, mask)


class Variable:
    """A local that is assigned more than once; LLVM turns it into registers."""

    __slots__ = ("_slot", "type")

    def __init__(self, slot: Pointer, type_: Type) -> None:
        self._slot, self.type = slot, type_

    @property
    def value(self) -> Value:
        return self._slot.address.function.load_typed(self._slot.address, self.type)

    @value.setter
    def value(self, value: Number) -> None:
        function = self._slot.address.function
        function.store_typed(self._slot.address, function.lift(value, self.type))
