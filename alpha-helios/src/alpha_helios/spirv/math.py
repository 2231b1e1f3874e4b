"""exp, log, tanh and sigmoid of f32 numbers, scalars or vectors of any length, without branches.

The polynomials are those of the Cephes library (Moshier, `expf.c` and `logf.c`).
"""

from collections.abc import Sequence

from alpha_helios.spirv.arithmetic import Arithmetic
from alpha_helios.spirv.types import f32, i32
from alpha_helios.spirv.value import Number, Value

__all__ = ["exp", "log", "sigmoid", "tanh"]

_LOG2_E = 1.4426950408889634
# ln 2 in two parts: products of the first with whole numbers below 2^13 are exact, fused with an addition or not.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
# Added and subtracted, it rounds to a whole number, which then also stands in the low bits.
_ROUNDING = 1.5 * 2.0**23

# (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2.
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
# (log(1 + u) - u + u^2 / 2) / u^3 for sqrt(1/2) - 1 <= u <= sqrt(2) - 1.
_LOG = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
_OVERFLOW, _UNDERFLOW = 88.72283935546875, -87.33654022216797  # from here e^x is infinite; below, less than 2^-126
_SATURATED = 10.0  # tanh is 1 from here


def exp(f: Arithmetic, x: Value) -> Value:
    """e^x within 1 unit in the last place; results below 2^-126 become 0."""
    power, remainder = _reduced(f, x)
    near_one = _exp_minus_one(f, remainder) + 1
    result = f.bitcast(f.bitcast(near_one, i32) + power, x.type)
    result = f.select(x >= _OVERFLOW, float("inf"), result)
    result = f.select(x < _UNDERFLOW, 0.0, result)
    return f.select(f.unordered(x, x), x, result)


def log(f: Arithmetic, x: Value) -> Value:
    """Natural logarithm within 1 unit in the last place; -inf at 0, NaN below."""
    tiny = x < 2.0**-126
    scaled = f.select(tiny, x * 2.0**23, x)
    bits = f.bitcast(scaled, i32)
    # The exponent is counted from sqrt(1/2), so that the mantissa lies around 1 and nothing cancels there.
    above = bits - 0x3F3504F3
    exponent = f.convert(f.shift_right_signed(above, 23), x.type.scalar)
    exponent = f.select(tiny, exponent - 23, exponent)
    u = f.bitcast((above & 0x007FFFFF) + 0x3F3504F3, x.type) - 1
    square = u * u
    correction = _polynomial(f, _LOG, u) * u * square
    correction = f.fma(exponent, _LN2_LOW, correction)
    correction = f.fma(square, -0.5, correction)
    result = f.fma(exponent, _LN2_HIGH, u + correction)
    result = f.select(x < float("inf"), result, x)  # inf and NaN
    result = f.select(x < 0, float("nan"), result)
    return f.select(x == 0, float("-inf"), result)


def tanh(f: Arithmetic, x: Value) -> Value:
    """Hyperbolic tangent within 2.5 units in the last place, near 0 too: -u / (u + 2) with u = e^-2|x| - 1."""
    size = f.absolute(x)
    size = f.select(f.lift(_SATURATED, x.type) < size, _SATURATED, size)  # keeps NaN
    power, remainder = _reduced(f, size * -2)
    scale = f.bitcast(power + 0x3F800000, x.type)
    minus_one = f.fma(scale, _exp_minus_one(f, remainder), scale - 1)
    sign = f.bitcast(x, i32) & -0x80000000
    return f.bitcast(f.bitcast(-minus_one / (minus_one + 2), i32) | sign, f32)


def sigmoid(f: Arithmetic, x: Value) -> Value:
    """1 / (1 + e^-x) within 2.5 units in the last place, on both sides of 0."""
    small = exp(f, -f.absolute(x))
    return f.select(x < 0, small, 1.0) / (small + 1)


def _reduced(f: Arithmetic, x: Value) -> tuple[Value, Value]:
    """Splits x = n ln 2 + r with |r| <= ln 2 / 2; gives n where a float's exponent has it, and r."""
    rounded = f.fma(x, _LOG2_E, _ROUNDING)
    whole = rounded - _ROUNDING
    remainder = f.fma(whole, -_LN2_LOW, f.fma(whole, -_LN2_HIGH, x))
    return f.bitcast(rounded, i32) << 23, remainder


def _exp_minus_one(f: Arithmetic, remainder: Value) -> Value:
    """e^r - 1 for |r| <= ln 2 / 2, also for tiny r."""
    return f.fma(_polynomial(f, _EXP, remainder), remainder * remainder, remainder)


def _polynomial(f: Arithmetic, coefficients: Sequence[float], x: Value) -> Value:
    """Horner's rule, the highest power first."""
    result: Number = coefficients[0]
    for coefficient in coefficients[1:]:
        result = f.fma(result, x, coefficient)
    assert isinstance(result, Value)
    return result
