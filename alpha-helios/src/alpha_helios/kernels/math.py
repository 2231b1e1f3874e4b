"""Arithmetic of f32 that is accurate and right at the edges of IEEE 754 where Vulkan promises less.

Vulkan allows 2.5 units in the last place for divisions, more for roots, and lets a driver forget how NaN compares.
`exp` and `log` are within 1 unit, `tanh` and `sigmoid` within 5, `divide`, `reciprocal` and `root` within 2.
Numbers below 2^-126 may count as 0.
"""

from alpha_helios.spirv.arithmetic import Arithmetic
from alpha_helios.spirv.math import exp, log, sigmoid, tanh
from alpha_helios.spirv.types import f32, i32
from alpha_helios.spirv.value import Number, Value

__all__ = [
    "divide",
    "exp",
    "from_order",
    "is_finite",
    "is_nan",
    "larger",
    "log",
    "order",
    "reciprocal",
    "root",
    "sigmoid",
    "sign",
    "smaller",
    "tanh",
]

_SIZE, _INFINITY, _NAN = 0x7FFFFFFF, 0x7F800000, 0x7FC00000
_LARGE = 2.0**126  # the reciprocal of what is larger is no normal number, and devices take that as 0


def divide(k: Arithmetic, a: Number, b: Number) -> Value:
    """a / b: the device's reciprocal, and one step of Newton's method on the remainder."""
    left, right = k.pair("divide", a, b)
    scale = k.select(k.absolute(right) > _LARGE, k.constant(right.type, 2.0**-32), 1.0)
    left, right = left * scale, right * scale
    inverse = k.lift(1.0, right.type) / right
    quotient = left * inverse
    better = k.fma(k.fma(-quotient, right, left), inverse, quotient)
    return k.select(is_finite(k, quotient) & (quotient != 0), better, quotient)


def reciprocal(k: Arithmetic, x: Value) -> Value:
    """1 / x."""
    return divide(k, 1.0, x)


def root(k: Arithmetic, x: Value) -> Value:
    """The square root; NaN below 0."""
    inverse = k.inverse_sqrt(x)
    estimate = x * inverse
    better = k.fma(k.fma(-estimate, estimate, x), inverse * 0.5, estimate)
    special = k.select(x < 0, k.constant(x.type, float("nan")), x)  # 0, infinity and NaN are their own roots
    return k.select((x > 0) & is_finite(k, x), better, special)


def is_nan(k: Arithmetic, x: Value) -> Value:
    """Whether x is NaN, by its bits: a driver may assume that there is none."""
    return (k.bitcast(x, i32) & _SIZE) > _INFINITY


def is_finite(k: Arithmetic, x: Value) -> Value:
    """Whether x is neither infinite nor NaN, by its bits."""
    return (k.bitcast(x, i32) & _SIZE) < _INFINITY


def larger(k: Arithmetic, a: Number, b: Number) -> Value:
    """The larger of two numbers; for floats NaN if either is."""
    left, right = k.pair("larger", a, b)
    if not left.type.is_float:
        return k.maximum(left, right)
    return k.select(is_nan(k, left) | (left > right), left, right)


def smaller(k: Arithmetic, a: Number, b: Number) -> Value:
    """The smaller of two numbers; for floats NaN if either is."""
    left, right = k.pair("smaller", a, b)
    if not left.type.is_float:
        return k.minimum(left, right)
    return k.select(is_nan(k, left) | (left < right), left, right)


def sign(k: Arithmetic, x: Value) -> Value:
    """-1, 0 or 1; zeros and NaN are their own signs."""
    return k.select(x > 0, 1, k.select(x < 0, -1, x))


def order(k: Arithmetic, x: Value) -> Value:
    """An i32 that compares as x does, NaN above infinity; largest and smallest of such are safe in every device."""
    bits = k.bitcast(x, i32)
    ordered = bits ^ (k.shift_right_signed(bits, 31) & _SIZE)
    return k.select((bits & _SIZE) > _INFINITY, k.constant(bits.type, _NAN), ordered)


def from_order(k: Arithmetic, key: Value) -> Value:
    """The number whose `order` is `key`."""
    return k.bitcast(key ^ (k.shift_right_signed(key, 31) & _SIZE), f32)
