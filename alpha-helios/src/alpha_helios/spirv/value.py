"""Values of a kernel under construction: arithmetic with Python's operators."""

from typing import TYPE_CHECKING, Union

from alpha_helios.spirv.types import Type

if TYPE_CHECKING:
    from alpha_helios.spirv.builder import Scope
    from alpha_helios.spirv.kernel import Kernel

__all__ = ["Handle", "Number", "Value"]

Number = Union["Value", int, float]


class Handle:
    """The result of an instruction: a value, a matrix, or a description of a tensor."""

    __slots__ = ("id", "kernel", "scope")

    def __init__(self, kernel: "Kernel", id_: int, scope: "Scope | None" = None) -> None:
        self.kernel, self.id = kernel, id_
        self.scope = scope
        """Where it may be used; None for a constant, which may be used everywhere."""

    def __bool__(self) -> bool:
        raise TypeError("it is known only when the kernel runs; use `k.if_`, `k.while_` or `k.select`")


class Value(Handle):
    """One SSA value. A plain number in an expression takes on the type of the other operand; a scalar beside a vector
    is spread over its lanes. Integers are signed and wrap, and `//` and `%` round toward zero."""

    __slots__ = ("type",)
    __hash__ = None  # type: ignore[assignment]  # `==` makes a comparison, so values cannot be looked up

    def __init__(self, kernel: "Kernel", type_: Type, id_: int, scope: "Scope | None" = None) -> None:
        super().__init__(kernel, id_, scope)
        self.type = type_

    def __add__(self, other: Number) -> "Value":
        return self.kernel.binary("add", self, other)

    def __sub__(self, other: Number) -> "Value":
        return self.kernel.binary("sub", self, other)

    def __mul__(self, other: Number) -> "Value":
        return self.kernel.binary("mul", self, other)

    def __truediv__(self, other: Number) -> "Value":
        return self.kernel.binary("div", self, other)

    def __floordiv__(self, other: Number) -> "Value":
        return self.kernel.binary("div", self, other)

    def __mod__(self, other: Number) -> "Value":
        return self.kernel.binary("rem", self, other)

    def __and__(self, other: Number) -> "Value":
        return self.kernel.binary("and", self, other)

    def __or__(self, other: Number) -> "Value":
        return self.kernel.binary("or", self, other)

    def __xor__(self, other: Number) -> "Value":
        return self.kernel.binary("xor", self, other)

    def __lshift__(self, other: Number) -> "Value":
        return self.kernel.binary("shl", self, other)

    def __rshift__(self, other: Number) -> "Value":
        """A logical shift: zeros come in. `Kernel.shift_right_signed` keeps the sign."""
        return self.kernel.binary("lshr", self, other)

    def __radd__(self, other: Number) -> "Value":
        return self.kernel.binary("add", other, self)

    def __rsub__(self, other: Number) -> "Value":
        return self.kernel.binary("sub", other, self)

    def __rmul__(self, other: Number) -> "Value":
        return self.kernel.binary("mul", other, self)

    def __rtruediv__(self, other: Number) -> "Value":
        return self.kernel.binary("div", other, self)

    def __rfloordiv__(self, other: Number) -> "Value":
        return self.kernel.binary("div", other, self)

    def __rmod__(self, other: Number) -> "Value":
        return self.kernel.binary("rem", other, self)

    def __rand__(self, other: Number) -> "Value":
        return self.kernel.binary("and", other, self)

    def __ror__(self, other: Number) -> "Value":
        return self.kernel.binary("or", other, self)

    def __rxor__(self, other: Number) -> "Value":
        return self.kernel.binary("xor", other, self)

    def __rlshift__(self, other: Number) -> "Value":
        return self.kernel.binary("shl", other, self)

    def __rrshift__(self, other: Number) -> "Value":
        return self.kernel.binary("lshr", other, self)

    def __neg__(self) -> "Value":
        return self.kernel.negate(self)

    def __invert__(self) -> "Value":
        """Flips every bit; of a truth value, the opposite."""
        return self.kernel.invert(self)

    def __lt__(self, other: Number) -> "Value":
        return self.kernel.compare("lt", self, other)

    def __le__(self, other: Number) -> "Value":
        return self.kernel.compare("le", self, other)

    def __gt__(self, other: Number) -> "Value":
        return self.kernel.compare("gt", self, other)

    def __ge__(self, other: Number) -> "Value":
        return self.kernel.compare("ge", self, other)

    def __eq__(self, other: Number) -> "Value":  # type: ignore[override]
        return self.kernel.compare("eq", self, other)

    def __ne__(self, other: Number) -> "Value":  # type: ignore[override]
        return self.kernel.compare("ne", self, other)

    def __getitem__(self, lane: "int | Value") -> "Value":
        """One lane of a vector."""
        return self.kernel.extract(self, lane)

    def __iter__(self) -> "None":
        raise TypeError("a value is not a sequence; `k.lanes(value)` gives the lanes of a vector")

    def __str__(self) -> str:
        return f"{self.type} %{self.id}"

    __repr__ = __str__
