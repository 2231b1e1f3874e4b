"""Places in memory: buffers behind addresses, memory that a workgroup shares, and arrays of one invocation."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from alpha_helios.spirv.types import Type, i32, i64, vector
from alpha_helios.spirv.value import Number, Value

if TYPE_CHECKING:
    from alpha_helios.spirv.builder import Scope
    from alpha_helios.spirv.kernel import Kernel

__all__ = ["Indexed", "Place", "Pointer", "Variable"]


class Place(ABC):
    """Elements of one type in a row. Indices count elements, and are i32 or i64."""

    __slots__ = ("element", "kernel")

    def __init__(self, kernel: "Kernel", element: Type) -> None:
        self.kernel, self.element = kernel, element

    @abstractmethod
    def __add__(self, index: Number) -> "Place":
        """The place `index` elements further."""

    def __getitem__(self, index: Number) -> Value:
        return self.load(index)

    def __setitem__(self, index: Number, value: Number) -> None:
        self.store(index, value)

    @abstractmethod
    def load(self, index: Number = 0, lanes: int = 0) -> Value:
        """Loads one element, or a vector of `lanes` neighbours."""

    @abstractmethod
    def store(self, index: Number, value: Number) -> None:
        """Stores an element, or a vector into neighbours."""

    @abstractmethod
    def target(self) -> int:
        """The id of a SPIR-V pointer to the first element."""

    def _index(self, index: Number) -> Value | int:
        """Checks an index."""
        if isinstance(index, Value):
            self.kernel.check(index)
            if index.type not in (i32, i64):
                raise TypeError(f"an index of type {index.type}; indices are i32 or i64")
            return index
        if int(index) != index:
            raise TypeError(f"{index!r} as an index; indices are whole numbers")
        return int(index)

    def _stored(self, value: Number) -> Value:
        """Checks a value to be stored."""
        if not isinstance(value, Value):
            return self.kernel.constant(self.element, value)
        self.kernel.check(value)
        if value.type != self.element and (self.element.lanes or value.type.scalar != self.element):
            raise TypeError(f"a value of type {value.type} stored as {self.element}; `k.convert` converts numbers")
        return value

    def _vector(self, lanes: int) -> Type:
        """The type of `lanes` neighbours."""
        if lanes and self.element.lanes:
            raise TypeError(f"`lanes` with elements of type {self.element}, which are vectors already")
        if lanes not in (0, 1, 2, 3, 4):
            raise TypeError(f"{lanes} lanes; there are vectors of 2, 3 and 4")
        return vector(self.element, lanes) if lanes > 1 else self.element


class Pointer(Place):
    """An address in a buffer with the type of the elements there.

    Accesses are as aligned as what they access is large: a vector of 4 f32 lies at a multiple of 16 bytes. A pointer
    with a smaller `alignment` promises no more than that.
    """

    __slots__ = ("address", "alignment", "offset", "readonly")

    def __init__(
        self,
        address: Value,
        element: Type,
        offset: int = 0,
        alignment: int | None = None,
        readonly: bool = False,
    ) -> None:
        super().__init__(address.kernel, element)
        self.address, self.offset, self.alignment, self.readonly = address, offset, alignment, readonly

    def __add__(self, index: Number) -> "Pointer":
        checked = self._index(index)
        if isinstance(checked, int):
            return self.at(checked * self.element.nbytes)
        return self.at(self.kernel.convert(checked, i64) * self.element.nbytes)

    def at(self, bytes_: Number, element: Type | None = None) -> "Pointer":
        """Moves by bytes, and changes the element type if one is given."""
        moved = self._index(bytes_)
        element = element or self.element
        if isinstance(moved, int):
            return Pointer(self.address, element, self.offset + moved, self.alignment, self.readonly)
        address = self.address + self.kernel.convert(moved, i64)
        return Pointer(address, element, self.offset, self.alignment, self.readonly)

    def cast(self, element: Type) -> "Pointer":
        """Takes the elements there as another type."""
        return self.at(0, element)

    def load(self, index: Number = 0, lanes: int = 0, *, alignment: int | None = None, volatile: bool = False) -> Value:
        """Loads one element, or a vector of `lanes` neighbours; `volatile` sees what other workgroups wrote."""
        place = self + index
        return self.kernel.load_physical(place, place._vector(lanes), alignment or self.alignment, volatile)

    def store(self, index: Number, value: Number, *, alignment: int | None = None, volatile: bool = False) -> None:
        """Stores an element, or a vector into neighbours; `volatile` lets other workgroups see it."""
        place = self + index
        self.kernel.store_physical(place, place._stored(value), alignment or self.alignment, volatile)

    def target(self) -> int:
        return self.kernel.physical(self, self.element)


class Indexed(Place):
    """Elements of a variable: of the workgroup (`k.shared`), or of one invocation (`k.array`)."""

    __slots__ = ("count", "first", "scope", "storage", "variable")

    def __init__(
        self,
        kernel: "Kernel",
        element: Type,
        variable: int,
        count: int,
        storage: str,
        scope: "Scope | None",
        first: Number = 0,
    ) -> None:
        super().__init__(kernel, element)
        self.variable, self.count, self.storage, self.scope, self.first = variable, count, storage, scope, first

    def __add__(self, index: Number) -> "Indexed":
        moved = self._index(index)
        if isinstance(moved, Value) and isinstance(self.first, Value) and moved.type != self.first.type:
            moved = self.kernel.convert(moved, self.first.type)
        first = moved if isinstance(self.first, int) and self.first == 0 else self.first + moved
        return Indexed(self.kernel, self.element, self.variable, self.count, self.storage, self.scope, first)

    def load(self, index: Number = 0, lanes: int = 0) -> Value:
        """Loads one element, or a vector of `lanes` neighbours, one after the other."""
        type_, place = self._vector(lanes), self + index
        if not lanes:
            return self.kernel.load_indexed(place)
        parts = [self.kernel.load_indexed(place + lane) for lane in range(lanes)]
        return self.kernel.vector(*parts) if type_.lanes else parts[0]

    def store(self, index: Number, value: Number) -> None:
        """Stores an element, or a vector into neighbours, one after the other."""
        stored, place = self._stored(value), self + index
        if stored.type == self.element:
            self.kernel.store_indexed(place, stored)
            return
        for lane, part in enumerate(self.kernel.lanes(stored)):
            self.kernel.store_indexed(place + lane, part)

    def store_lane(self, index: Number, lane: Number, value: Number) -> None:
        """Stores one lane of an element that is a vector; `lane` may be known only when the kernel runs."""
        self.kernel.store_lane(self + index, lane, value)

    def target(self) -> int:
        return self.kernel.element_of(self)


class Variable:
    """A local that is assigned more than once; drivers turn it into registers."""

    __slots__ = ("id", "kernel", "scope", "type")

    def __init__(self, kernel: "Kernel", type_: Type, id_: int, scope: "Scope") -> None:
        self.kernel, self.type, self.id, self.scope = kernel, type_, id_, scope

    @property
    def value(self) -> Value:
        self.kernel.check_scope(self.scope, f"the variable of type {self.type}")
        return self.kernel.emit(self.type, "Load", self.id)

    @value.setter
    def value(self, value: Number) -> None:
        self.kernel.check_scope(self.scope, f"the variable of type {self.type}")
        try:
            lifted = self.kernel.lift(value, self.type)
        except TypeError as error:
            raise TypeError(f"assignment to a variable of type {self.type}: {error}") from None
        self.kernel.emit_void("Store", self.id, lifted)
