"""The types of LLVM values that kernels use."""

import struct

import attrs
import numpy as np

__all__ = ["Type", "bf16", "f16", "f32", "f64", "i1", "i8", "i16", "i32", "i64", "pointer", "vector"]

_FLOATS = {16: "half", 32: "float", 64: "double"}


@attrs.frozen
class Type:
    """An integer (signed where it matters), a float, a pointer, or a vector of `lanes` integers or floats."""

    kind: str
    """`i`, `f`, `bf` (bfloat) or `p`."""
    bits: int
    lanes: int = 0
    """0 for a scalar."""

    @property
    def scalar(self) -> "Type":
        return attrs.evolve(self, lanes=0)

    @property
    def nbytes(self) -> int:
        return max(self.bits // 8, 1) * max(self.lanes, 1)

    @property
    def is_float(self) -> bool:
        return self.kind in ("f", "bf")

    @property
    def suffix(self) -> str:
        """How names of overloaded intrinsics spell the type: `v16f32`, `i64`, `p0`."""
        letter = {"i": "i", "f": "f", "bf": "bf", "p": "p"}[self.kind]
        scalar = "p0" if self.kind == "p" else f"{letter}{self.bits}"
        return f"v{self.lanes}{scalar}" if self.lanes else scalar

    def literal(self, value: float) -> str:
        """Returns a constant of this type as LLVM writes it, rounded to the type; a vector has it in every lane."""
        if self.lanes:
            return f"splat ({self.scalar} {self.scalar.literal(value)})"
        if self.kind == "i":
            return str(int(value)) if self.bits > 1 else ("true" if value else "false")
        if self.kind == "p":
            return "null"
        with np.errstate(over="ignore"):
            if self.kind == "bf":
                single = struct.unpack("<I", np.float32(value).tobytes())[0]
                return f"0xR{(single + 0x7FFF + (single >> 16 & 1)) >> 16:04X}"
            if self.bits == 16:
                return f"0xH{struct.unpack('<H', np.float16(value).tobytes())[0]:04X}"
            rounded = float(np.float32(value)) if self.bits == 32 else float(value)
        return f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"

    def __str__(self) -> str:
        scalar = {"i": f"i{self.bits}", "bf": "bfloat", "p": "ptr"}.get(self.kind) or _FLOATS[self.bits]
        return f"<{self.lanes} x {scalar}>" if self.lanes else scalar


i1, i8, i16, i32, i64 = (Type("i", bits) for bits in (1, 8, 16, 32, 64))
f16, f32, f64 = (Type("f", bits) for bits in (16, 32, 64))
bf16 = Type("bf", 16)
pointer = Type("p", 64)


def vector(element: Type, lanes: int) -> Type:
    """Returns the type of `lanes` elements."""
    return attrs.evolve(element, lanes=lanes)
