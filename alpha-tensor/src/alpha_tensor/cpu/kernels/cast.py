"""Conversions between all element types, within a vector.

f16 and bf16 are handled as their bits: no processor is needed that knows them, and every one rounds alike.
"""

from alpha_core.dtype import DType
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import Type, f32, f64, i8, i16, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Value

__all__ = ["STORED", "cast"]

STORED: dict[str, Type] = {
    "f64": f64,
    "f32": f32,
    "f16": i16,
    "bf16": i16,
    "i32": i32,
    "i8": i8,
    "i16": i16,
    "i64": i64,
}
"""How elements lie in memory, by the name of the dtype; `i16` and `i64` are elements that are only moved."""

_SIGN, _SIZE = -0x80000000, 0x7FFFFFFF
_INFINITY = 0x7F800000
_TOO_LARGE_FOR_F16 = 0x47800000  # 65536
_SMALLEST_F16_NORMAL = 0x38800000  # 2^-14
_HALF = 0x3F000000  # adding 0.5 shifts the bits of a number below 2^-14 to where f16 has them, and rounds
_F16_EXPONENT = 0x0F800000  # the exponent bits of f16, where f32 has them


def cast(f: Function, x: Value, source: DType, target: DType) -> Value:
    """Converts stored elements: floats to nearest even with one rounding, to integers toward zero and to the nearest
    that there is (NaN to 0)."""
    if source is target:
        return x
    wide = _widened(f, x, source)
    return _narrowed(f, wide, target)


def _widened(f: Function, x: Value, source: DType) -> Value:
    """Returns i32, f32 or f64, without a loss."""
    match source:
        case DType.i8:
            return f.convert(x, i32)
        case DType.bf16:
            return f.bitcast(f.widen_unsigned(x, i32) << 16, _like(x, f32))
        case DType.f16:
            return _from_f16(f, x)
        case _:
            return x


def _narrowed(f: Function, x: Value, target: DType) -> Value:
    if target in (DType.i32, DType.i8):
        element = STORED[target.value]
        if not x.type.is_float:
            return f.convert(x, element)
        result = _like(x, element)
        return f.intrinsic(f"llvm.fptosi.sat.{result.suffix}.{x.type.suffix}", result, x)
    if target in (DType.f32, DType.f64):
        return f.convert(x, STORED[target.value])
    if not x.type.is_float:
        x = f.convert(x, f64)
    single = _rounded_to_odd(f, x) if x.type.scalar == f64 else f.bitcast(x, _like(x, i32))
    return f.convert(_to_f16(f, single) if target is DType.f16 else _to_bf16(f, single), i16)


def _rounded_to_odd(f: Function, x: Value) -> Value:
    """Returns the bits of f64 numbers as f32, with what was lost in the last bit: rounding them again is right."""
    single = f.convert(x, f32)
    back, bits = f.convert(single, f64), f.bitcast(single, _like(x, i32))
    toward_zero = bits - f.convert(f.absolute(back) > f.absolute(x), i32)
    inexact = f.compare("lt", back, x) | (back > x)
    return f.select(inexact, toward_zero | 1, bits)


def _to_bf16(f: Function, bits: Value) -> Value:
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet = (bits >> 16) | 0x0040  # rounding could carry the digits of a NaN into infinity
    return f.select((bits & _SIZE) > _INFINITY, quiet, rounded)


def _to_f16(f: Function, bits: Value) -> Value:
    sign, size = bits & _SIGN, bits & _SIZE
    # The exponent counts from 15 instead of 127.
    normal = (size - 0x38000000 + 0xFFF + ((size >> 13) & 1)) >> 13
    half = f.bitcast(f.lift(_HALF, bits.type), _like(bits, f32))
    subnormal = f.bitcast(f.bitcast(size, _like(bits, f32)) + half, bits.type) - _HALF
    large = f.select(size > _INFINITY, f.lift(0x7E00, bits.type), 0x7C00)
    result = f.select(size < _SMALLEST_F16_NORMAL, subnormal, normal)
    return f.select(size < _TOO_LARGE_FOR_F16, result, large) | (sign >> 16)


def _from_f16(f: Function, x: Value) -> Value:
    bits = f.widen_unsigned(x, i32)
    sign, size = (bits & 0x8000) << 16, (bits & 0x7FFF) << 13
    exponent = size & _F16_EXPONENT
    normal = size + 0x38000000
    # A subnormal is made normal with a leading 1, which is then subtracted.
    smallest = f.bitcast(f.lift(_SMALLEST_F16_NORMAL, bits.type), _like(x, f32))
    subnormal = f.bitcast(f.bitcast(size + _SMALLEST_F16_NORMAL, _like(x, f32)) - smallest, bits.type)
    result = f.select(exponent == 0, subnormal, f.select(exponent == _F16_EXPONENT, size + 0x70000000, normal))
    return f.bitcast(result | sign, _like(x, f32))


def _like(x: Value, element: Type) -> Type:
    return vector(element, x.type.lanes) if x.type.lanes else element
