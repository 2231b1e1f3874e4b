"""The types of SPIR-V values that kernels use."""

import struct
from functools import cache, cached_property

import attrs

__all__ = ["Type", "bf16", "f16", "f32", "f64", "i1", "i8", "i16", "i32", "i64", "vector"]

_FORMATS = {16: ("e", "H"), 32: ("f", "I"), 64: ("d", "Q")}


@attrs.frozen(eq=False)
class Type:
    """A truth value, an integer (signed where it matters), a float, or a vector of 2 to 4 of them.

    Each is one object, of those below or of `vector`: a builder compares types several times for each instruction.
    """

    kind: str
    """`i`, `f` or `bf` (bfloat)."""
    bits: int
    lanes: int = 0
    """0 for a scalar."""

    @cached_property
    def scalar(self) -> "Type":
        return _SCALARS[self.kind, self.bits]

    @cached_property
    def nbytes(self) -> int:
        return max(self.bits // 8, 1) * max(self.lanes, 1)

    @cached_property
    def is_float(self) -> bool:
        return self.kind != "i"

    @cached_property
    def is_bool(self) -> bool:
        return self.bits == 1

    @cached_property
    def is_integer(self) -> bool:
        return self.kind == "i" and self.bits > 1

    def encode(self, value: float) -> int:
        """Returns the bits of a scalar constant, floats rounded to nearest even.

        Raises:
            TypeError: the value is no number of this kind (a fraction where an integer is needed).
            ValueError: an integer that fits neither as signed nor as unsigned.
        """
        if self.is_float:
            return self._float_bits(float(value))
        if int(value) != value:
            raise TypeError(f"{value!r} is not a whole number, as {self.scalar} needs")
        whole = int(value)
        if not -(1 << self.bits - 1) <= whole < 1 << self.bits:
            raise ValueError(f"{whole} does not fit into {self.scalar}")
        return whole & (1 << self.bits) - 1

    def _float_bits(self, value: float) -> int:
        if self.kind == "bf":
            single = f32._float_bits(value)
            if value != value:
                return single >> 16 | 0x40
            return single + 0x7FFF + (single >> 16 & 1) >> 16
        as_float, as_bits = _FORMATS[self.bits]
        try:
            packed = struct.pack("<" + as_float, value)
        except OverflowError:
            packed = struct.pack("<" + as_float, float("inf") if value > 0 else float("-inf"))
        (bits,) = struct.unpack("<" + as_bits, packed)
        return int(bits)

    def __str__(self) -> str:
        return f"{self.kind}{self.bits}" + (f"x{self.lanes}" if self.lanes else "")


i1, i8, i16, i32, i64 = (Type("i", bits) for bits in (1, 8, 16, 32, 64))
f16, f32, f64 = (Type("f", bits) for bits in (16, 32, 64))
bf16 = Type("bf", 16)
_SCALARS = {(type_.kind, type_.bits): type_ for type_ in (i1, i8, i16, i32, i64, f16, f32, f64, bf16)}


@cache
def vector(element: Type, lanes: int) -> Type:
    """Returns the type of 2, 3 or 4 scalars, those of `element`; 0 or 1 gives the scalar itself."""
    if lanes not in (0, 1, 2, 3, 4):
        raise TypeError(f"a vector of {lanes} lanes; there are vectors of 2, 3 and 4")
    if element.lanes:
        return vector(element.scalar, lanes)
    return attrs.evolve(element, lanes=lanes) if lanes > 1 else element
