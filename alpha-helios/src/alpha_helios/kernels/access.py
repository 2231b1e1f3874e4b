"""Elements as they lie in memory and as kernels compute with them.

Floats are computed in f32 whatever they are stored as; 16-bit ones are taken apart as bits, so that every device rounds
alike and needs no arithmetic in 16 bits. Small integers are computed in i32, f64 is only moved, as its bits in i64.
"""

from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.types import Type, f32, i8, i16, i32, i64
from alpha_helios.spirv.value import Number, Value

__all__ = ["COMPUTED", "STORED", "Elements", "elements", "rounded"]

STORED: dict[str, Type] = {
    "f64": i64,
    "f32": f32,
    "f16": i16,
    "bf16": i16,
    "i64": i64,
    "i32": i32,
    "i16": i16,
    "i8": i8,
}
"""How elements lie in memory, by the name of the dtype; `i16` and `i64` are elements that are only moved."""

COMPUTED: dict[str, Type] = {
    "f64": i64,
    "f32": f32,
    "f16": f32,
    "bf16": f32,
    "i64": i64,
    "i32": i32,
    "i16": i32,
    "i8": i32,
}
"""What `Elements.load` gives and `Elements.store` takes, by the name of the dtype."""


def elements(k: Kernel, stored: str, *, readonly: bool = False, alignment: int | None = None) -> "Elements":
    """Takes the kernel's next argument: the address of elements of a dtype."""
    return Elements(k.pointer(STORED[stored], alignment, readonly=readonly), stored)


def rounded(k: Kernel, value: Value, stored: str) -> Value:
    """What is read where a number is stored as elements of a dtype."""
    match stored:
        case "f16":
            return k.round_to_f16(value)
        case "bf16":
            return k.round_to_bf16(value)
        case _:
            return value


class Elements:
    """Elements of one dtype in a row, from a place in memory on."""

    __slots__ = ("k", "place", "stored")

    def __init__(self, place: Pointer, stored: str) -> None:
        self.k, self.place, self.stored = place.kernel, place, stored

    @property
    def computed(self) -> Type:
        """The type of what is loaded and stored."""
        return COMPUTED[self.stored]

    def __add__(self, index: Number) -> "Elements":
        """The elements from `index` on."""
        return Elements(self.place + index, self.stored)

    def __getitem__(self, index: Number) -> Value:
        return self.load(index)

    def __setitem__(self, index: Number, value: Number) -> None:
        self.store(index, value)

    def load(self, index: Number = 0, lanes: int = 0) -> Value:
        """Loads an element, or a vector of `lanes` neighbours, whose place must be a multiple of their size."""
        bits = self.place.load(index, lanes)
        match self.stored:
            case "f16":
                return self.k.from_f16_bits(bits)
            case "bf16":
                return self.k.from_bf16_bits(bits)
            case "i16" | "i8":
                return self.k.convert(bits, i32)
            case _:
                return bits

    def store(self, index: Number, value: Number) -> None:
        """Stores an element, or a vector into neighbours: floats to nearest even, integers cut short."""
        self.place.store(index, self.bits(value))

    def rounded(self, value: Value) -> Value:
        """What `load` gives after `store`."""
        return rounded(self.k, value, self.stored)

    def bits(self, value: Number) -> Value:
        """A number as it lies in memory."""
        if not isinstance(value, Value):
            value = self.k.constant(self.computed, value)
        match self.stored:
            case "f16":
                return self.k.to_f16_bits(value)
            case "bf16":
                return self.k.to_bf16_bits(value)
            case "i16" | "i8":
                return self.k.widen_unsigned(value, STORED[self.stored])
            case _:
                return value
