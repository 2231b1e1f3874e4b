"""Instructions that compute the result of each invocation from its operands, as functions of numpy arrays.

Floats are rounded to their own width after each instruction. The order of operations that Vulkan leaves to the device
is the simplest one here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.helios.machine.values import MachineError, Scalar, round_to_bfloat, signed

from alpha_helios.spirv.opcodes import EXT

__all__ = ["ELEMENTWISE", "EXTENDED", "bitcast", "conversion", "rounded"]

Function = Callable[..., Any]


def _on_signed(function: Function) -> Function:
    return lambda *operands: function(*map(signed, operands))


def _nonzero(divisor: Any) -> Any:
    """Stands for the divisor: what is 0 in invocations that take no part must not disturb."""
    return np.where(divisor == 0, np.ones_like(divisor), divisor)


def _truncated(a: Any, b: Any) -> Any:
    a, b = signed(a), signed(_nonzero(b))
    return ((a - np.fmod(a, b)) // b).view(np.dtype(f"u{a.dtype.itemsize}"))


def _remainder(a: Any, b: Any) -> Any:
    result = np.fmod(signed(a), signed(_nonzero(b)))
    return result.view(np.dtype(f"u{result.dtype.itemsize}"))


def _arithmetic_shift(a: Any, b: Any) -> Any:
    wide = signed(a)
    return (wide >> b.astype(wide.dtype)).view(a.dtype)


def _extended_product(a: Any, b: Any) -> tuple[Any, Any]:
    product = a.astype(np.uint64) * b.astype(np.uint64)
    return product.astype(np.uint32), (product >> np.uint64(32)).astype(np.uint32)


def _field(x: Any, offset: Any, count: Any) -> Any:
    mask = ((np.uint64(1) << count.astype(np.uint64)) - np.uint64(1)).astype(x.dtype)
    return (x >> offset.astype(x.dtype)) & mask


def _signed_field(x: Any, offset: Any, count: Any) -> Any:
    up = (8 * x.dtype.itemsize - count.astype(np.int64)).astype(x.dtype)
    moved = _field(x, offset, count) << up
    return np.where(count == 0, np.zeros_like(moved), _arithmetic_shift(moved, up))


def _reversed_bits(x: Any) -> Any:
    result, bits = np.zeros_like(x), 8 * x.dtype.itemsize
    for place in range(bits):
        result = result | (((x >> x.dtype.type(place)) & x.dtype.type(1)) << x.dtype.type(bits - 1 - place))
    return result


ELEMENTWISE: dict[str, Function] = {
    "FAdd": np.add,
    "FSub": np.subtract,
    "FMul": np.multiply,
    "FDiv": np.divide,
    "FRem": np.fmod,
    "FNegate": np.negative,
    "IAdd": np.add,
    "ISub": np.subtract,
    "IMul": np.multiply,
    "SNegate": np.negative,
    "UDiv": lambda a, b: a // _nonzero(b),
    "UMod": lambda a, b: a % _nonzero(b),
    "SDiv": _truncated,
    "SRem": _remainder,
    "UMulExtended": _extended_product,
    "IsNan": np.isnan,
    "IsInf": np.isinf,
    "LogicalEqual": np.equal,
    "LogicalNotEqual": np.not_equal,
    "LogicalOr": np.logical_or,
    "LogicalAnd": np.logical_and,
    "LogicalNot": np.logical_not,
    "Select": np.where,
    "IEqual": np.equal,
    "INotEqual": np.not_equal,
    "UGreaterThan": np.greater,
    "UGreaterThanEqual": np.greater_equal,
    "ULessThan": np.less,
    "ULessThanEqual": np.less_equal,
    "SGreaterThan": _on_signed(np.greater),
    "SGreaterThanEqual": _on_signed(np.greater_equal),
    "SLessThan": _on_signed(np.less),
    "SLessThanEqual": _on_signed(np.less_equal),
    "FOrdEqual": np.equal,
    "FUnordNotEqual": np.not_equal,
    "FOrdLessThan": np.less,
    "FOrdGreaterThan": np.greater,
    "FOrdLessThanEqual": np.less_equal,
    "FOrdGreaterThanEqual": np.greater_equal,
    "ShiftRightLogical": lambda a, b: a >> b.astype(a.dtype),
    "ShiftRightArithmetic": _arithmetic_shift,
    "ShiftLeftLogical": lambda a, b: a << b.astype(a.dtype),
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "BitwiseAnd": np.bitwise_and,
    "Not": np.invert,
    "BitFieldUExtract": _field,
    "BitFieldSExtract": _signed_field,
    "BitReverse": _reversed_bits,
    "BitCount": lambda x: np.bitwise_count(x).astype(x.dtype),
    "Any": lambda x: x.any(-1),
    "All": lambda x: x.all(-1),
    "Dot": lambda a, b: (a * b).sum(-1, dtype=a.dtype),
}
"""By the name of the instruction. A divisor of 0 is looked at elsewhere."""

DIVISIONS = frozenset({"UDiv", "UMod", "SDiv", "SRem"})


def _fma(a: Any, b: Any, c: Any) -> Any:
    """One rounding, but for the rare case that the sum in f64 is a tie."""
    if a.dtype == np.float64:
        return a * b + c
    return (a.astype(np.float64) * b + c).astype(a.dtype)


def _lowest_bit(x: Any) -> Any:
    lowest = x & (~x + x.dtype.type(1))
    return np.where(x == 0, np.uint32(0xFFFFFFFF), np.bitwise_count(lowest - x.dtype.type(1)))


def _highest_bit(x: Any) -> Any:
    place = np.frexp(x.astype(np.float64))[1] - 1
    return np.where(x == 0, np.uint32(0xFFFFFFFF), place.astype(np.uint32))


def _packed(x: Any) -> Any:
    halves = x.astype(np.float16).view(np.uint16).astype(np.uint32)
    return halves[..., 0] | (halves[..., 1] << np.uint32(16))


def _unpacked(x: Any) -> Any:
    halves = np.stack([x & np.uint32(0xFFFF), x >> np.uint32(16)], -1)
    return halves.astype(np.uint16).view(np.float16).astype(np.float32)


def _unsigned(function: Function) -> Function:
    """A function of numbers with a sign whose result has one too."""
    return lambda *operands: function(*map(signed, operands)).view(operands[0].dtype)


_EXTENDED: dict[str, Function] = {
    "Round": np.rint,
    "RoundEven": np.rint,
    "Trunc": np.trunc,
    "FAbs": np.abs,
    "SAbs": _unsigned(np.abs),
    "FSign": np.sign,
    "SSign": _unsigned(np.sign),
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Fract": lambda x: x - np.floor(x),
    "Sin": np.sin,
    "Cos": np.cos,
    "Tan": np.tan,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Tanh": np.tanh,
    "Pow": np.power,
    "Exp": np.exp,
    "Log": np.log,
    "Exp2": np.exp2,
    "Log2": np.log2,
    "Sqrt": np.sqrt,
    "InverseSqrt": lambda x: x.dtype.type(1) / np.sqrt(x),
    "UMin": np.minimum,
    "SMin": _unsigned(np.minimum),
    "UMax": np.maximum,
    "SMax": _unsigned(np.maximum),
    "Fma": _fma,
    "Ldexp": lambda x, exponent: np.ldexp(x, signed(exponent)),
    "PackHalf2x16": _packed,
    "UnpackHalf2x16": _unpacked,
    "FindILsb": lambda x: _lowest_bit(x).astype(x.dtype),
    "FindUMsb": _highest_bit,
    "NMin": np.fmin,
    "NMax": np.fmax,
}

EXTENDED: dict[int, Function] = {EXT[name]: function for name, function in _EXTENDED.items()}
"""Instructions of GLSL.std.450, by their number."""


def rounded(scalar: Scalar) -> Function:
    """Returns what brings an f32 or f64 result to a type of floats."""
    if scalar.kind == "bfloat":
        return round_to_bfloat
    return lambda values: values.astype(scalar.held)


def conversion(name: str, source: Scalar, target: Scalar) -> Function:
    """Returns what an instruction that converts numbers does."""
    if name == "FConvert":
        # Through f32, where a bfloat is concerned.
        narrow = rounded(target)
        return narrow if target.kind != "bfloat" else lambda x: narrow(x.astype(np.float32))
    if name in ("UConvert", "ConvertUToF"):
        return lambda x: x.astype(target.held)
    if name == "SConvert":
        return lambda x: signed(x).astype(f"i{target.nbytes}").view(target.held)
    if name == "ConvertSToF":
        return lambda x: signed(x).astype(target.held)
    if name == "ConvertFToU":
        return lambda x: x.astype(target.held)
    if name == "ConvertFToS":
        return lambda x: x.astype(f"i{target.nbytes}").view(target.held)
    raise MachineError(f"{name} from {source} to {target}")


def bitcast(source: Scalar, lanes: int, target: Scalar, wanted: int) -> Function:
    """Returns what takes the bits of scalars or vectors (`lanes`, 0 for a scalar) as another type."""
    if "bfloat" in (source.kind, target.kind):
        raise MachineError("Bitcast of a bfloat")

    def cast(x: Any) -> Any:
        if lanes == wanted:
            return x.view(target.held)
        given = np.ascontiguousarray(x if lanes else np.asarray(x)[..., None]).view(target.held)
        return given if wanted else given[..., 0]

    return cast
