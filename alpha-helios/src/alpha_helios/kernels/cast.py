"""Conversions between all element types. f64 is converted with 64-bit integers, so no device needs to compute in it."""

from alpha_helios.kernels.access import COMPUTED
from alpha_helios.kernels.math import is_nan
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["cast", "is_true"]

_LEAST, _MOST = {"i32": -(2**31), "i8": -128}, {"i32": 2**31 - 1, "i8": 127}
_FRACTION = (1 << 52) - 1  # of f64
_SIZE = (1 << 63) - 1
_NARROWED = 29  # binary digits of f64 that f32 has no room for
_NAN, _INFINITY, _LARGEST = 0x7FC00000, 0x7F800000, 0x7F7FFFFF


def cast(k: Kernel, x: Value, source: str, target: str) -> Value:
    """Converts what `Elements.load` gives of one dtype to what `Elements.store` takes of another.

    Floats are rounded to nearest even, once. Integers are rounded toward zero, and to the nearest that there is; NaN
    becomes 0.
    """
    have, need = COMPUTED[source].kind + str(COMPUTED[source].bits), target
    if need in _LEAST:
        if have == "i32":
            return x
        return _whole(k, x, need) if have == "f32" else _whole_of_f64(k, x, need)
    if need == "f64":
        if have == "i64":
            return x
        return _f64_of_f32(k, x) if have == "f32" else _f64_of_whole(k, x)
    if have == "f32":
        return x
    # What is rounded again when it is stored in 16 bits keeps in its last place whether anything was lost.
    again = need in ("f16", "bf16")
    if have == "i32":
        return k.convert(_sticky(k, x) if again else x, f32)
    return k.bitcast(_f32_of_f64(k, x, to_odd=again), f32)


def is_true(k: Kernel, x: Value, dtype: str) -> Value:
    """Whether what `Elements.load` gives of a dtype is not 0."""
    if COMPUTED[dtype] == f32:
        return (k.bitcast(x, i32) & 0x7FFFFFFF) != 0
    return (x & _SIZE) != 0 if dtype == "f64" else x != 0


def _whole(k: Kernel, x: Value, target: str) -> Value:
    """i32 of f32."""
    least, most = _LEAST[target], _MOST[target]
    inside = k.convert(k.select((x > least - 1.0) & (x < most + 1.0), x, 0.0), i32)
    inside = k.select(x >= most + 1.0, most, k.select(x <= float(least), least, inside))
    return k.select(is_nan(k, x), 0, inside)


def _whole_of_f64(k: Kernel, x: Value, target: str) -> Value:
    """i32 of the bits of f64."""
    size = x & _SIZE
    exponent = k.convert(size >> 52, i32) - 1023
    bits = 31 if target == "i32" else 7
    small = k.select((exponent >= 0) & (exponent < bits), exponent, 0)
    whole = k.convert(((size & _FRACTION) | (1 << 52)) >> k.convert(52 - small, i64), i32)
    whole = k.select(exponent < 0, 0, whole)
    negative = x < 0
    signed = k.select(negative, -whole, whole)
    limit = k.select(negative, k.constant(whole.type, _LEAST[target]), _MOST[target])
    return k.select(size > 0x7FF << 52, 0, k.select(exponent >= bits, limit, signed))


def _sticky(k: Kernel, x: Value) -> Value:
    """Replaces what f32 has no room for of an i32 by a 1 in the last place of what stays, if it is not 0."""
    size = k.select(x < 0, -x, x)
    surplus = k.maximum(k.highest_bit(size) - 23, 0)
    lost = (k.constant(x.type, 1) << surplus) - 1
    kept = (size & ~lost) | k.select((size & lost) != 0, k.constant(x.type, 1) << surplus, 0)
    return k.select(x < 0, -kept, kept)


def _f64_of_whole(k: Kernel, x: Value) -> Value:
    """The bits of f64 of an i32."""
    sign = k.convert(x, i64) & (-1 << 63)
    size = k.select(x < 0, -x, x)
    return k.select(x == 0, 0, sign | _scaled(k, size, k.constant(x.type, 0)))


def _f64_of_f32(k: Kernel, x: Value) -> Value:
    """The bits of f64 of an f32."""
    bits = k.bitcast(x, i32)
    sign, size = k.convert(bits, i64) & (-1 << 63), k.widen_unsigned(bits & 0x7FFFFFFF, i64)
    normal = (size << _NARROWED) + (896 << 52)
    special = (size << _NARROWED) + (1792 << 52)  # infinity and NaN
    result = k.select(size >= _INFINITY, special, normal)
    tiny = _scaled(k, bits & 0x007FFFFF, k.constant(bits.type, -149))
    result = k.select(size < 0x00800000, k.select(size == 0, 0, tiny), result)
    return sign | result


def _scaled(k: Kernel, size: Value, power: Value) -> Value:
    """The bits of f64 of size * 2^power, for a `size` that is not 0, taken as unsigned."""
    first = k.highest_bit(size)
    fraction = k.widen_unsigned(size, i64) << k.convert(52 - first, i64)
    return (fraction & _FRACTION) | (k.convert(first + power + 1023, i64) << 52)


def _f32_of_f64(k: Kernel, x: Value, *, to_odd: bool) -> Value:
    """The bits of f32 of the bits of f64: the nearest, or what keeps in its last place whether anything was lost."""
    size = x & _SIZE
    exponent = k.convert(size >> 52, i32) - 896
    tiny = exponent < 1
    shift = k.convert(k.select(tiny, k.minimum(_NARROWED + 1 - exponent, 63), _NARROWED), i64)
    digits = k.select(tiny & (size != 0), (size & _FRACTION) | (1 << 52), size & _FRACTION)
    kept, one = digits >> shift, k.constant(x.type, 1)
    if to_odd:
        rounded = kept | k.select((digits & ((one << shift) - 1)) != 0, one, 0)
    else:
        rounded = (digits + (one << (shift - 1)) - 1 + (kept & 1)) >> shift
    result = k.select(tiny, 0, exponent << 23) + k.convert(rounded, i32)
    result = k.select(exponent >= 255, _LARGEST if to_odd else _INFINITY, result)
    result = k.select(size == 0x7FF << 52, _INFINITY, result)
    result = k.select(size > 0x7FF << 52, _NAN, result)
    return result | k.select(x < 0, k.constant(result.type, -(1 << 31)), 0)
