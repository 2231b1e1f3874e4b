"""Operators, comparisons and conversions of values."""

from alpha_helios.spirv.builder import Builder
from alpha_helios.spirv.types import Type, f32, i1, i16, i32, vector
from alpha_helios.spirv.value import Number, Value

__all__ = ["Operators"]

_INTEGER = {"add": "IAdd", "sub": "ISub", "mul": "IMul", "div": "SDiv", "rem": "SRem"}
_FLOAT = {"add": "FAdd", "sub": "FSub", "mul": "FMul", "div": "FDiv", "rem": "FRem"}
_BITS = {
    "and": "BitwiseAnd",
    "or": "BitwiseOr",
    "xor": "BitwiseXor",
    "shl": "ShiftLeftLogical",
    "lshr": "ShiftRightLogical",
}
_LOGIC = {"and": "LogicalAnd", "or": "LogicalOr", "xor": "LogicalNotEqual"}
_RELATIONS = {
    "lt": ("FOrdLessThan", "SLessThan", "ULessThan"),
    "le": ("FOrdLessThanEqual", "SLessThanEqual", "ULessThanEqual"),
    "gt": ("FOrdGreaterThan", "SGreaterThan", "UGreaterThan"),
    "ge": ("FOrdGreaterThanEqual", "SGreaterThanEqual", "UGreaterThanEqual"),
    "eq": ("FOrdEqual", "IEqual", "IEqual"),
    "ne": ("FUnordNotEqual", "INotEqual", "INotEqual"),
}
_CONTRACTED = ("FAdd", "FSub", "FMul")


class Operators(Builder):
    """Operators, comparisons and conversions."""

    def binary(self, operation: str, a: Number, b: Number) -> Value:
        left, right = self.pair(operation, a, b)
        if left.type.is_bool:
            name = _LOGIC.get(operation)
        elif left.type.is_float:
            name = _FLOAT.get(operation)
        else:
            name = _INTEGER.get(operation) or _BITS[operation]
        if name is None or left.type.kind == "bf":
            raise TypeError(f"`{operation}` does not work on {left.type}")
        result = self.emit(left.type, name, left, right)
        if self.exact and name in _CONTRACTED:
            self.module.decorate(result.id, "NoContraction")
        return result

    def negate(self, value: Value) -> Value:
        self.need("negate", value, "a number", not value.type.is_bool and value.type.kind != "bf")
        return self.emit(value.type, "FNegate" if value.type.is_float else "SNegate", value)

    def invert(self, value: Value) -> Value:
        """Flips every bit of an integer; of a truth value, the opposite."""
        self.need("invert", value, "an integer or a truth value", not value.type.is_float)
        return self.emit(value.type, "LogicalNot" if value.type.is_bool else "Not", value)

    def shift_right_signed(self, a: Number, b: Number) -> Value:
        """Shifts right, keeping the sign."""
        return self._integers("shift_right_signed", "ShiftRightArithmetic", a, b)

    def divide_unsigned(self, a: Number, b: Number) -> Value:
        return self._integers("divide_unsigned", "UDiv", a, b)

    def remainder_unsigned(self, a: Number, b: Number) -> Value:
        return self._integers("remainder_unsigned", "UMod", a, b)

    # Comparisons

    def compare(self, relation: str, a: Number, b: Number) -> Value:
        """Compares; false where a float is NaN, except `ne`, which is true there."""
        left, right = self.pair(relation, a, b)
        result = vector(i1, left.type.lanes)
        if left.type.is_bool:
            if relation not in ("eq", "ne"):
                raise TypeError(f"`{relation}` does not work on truth values")
            return self.emit(result, "LogicalEqual" if relation == "eq" else "LogicalNotEqual", left, right)
        return self.emit(result, _RELATIONS[relation][0 if left.type.is_float else 1], left, right)

    def unordered(self, a: Number, b: Number | None = None) -> Value:
        """True where a, or b if it is given, is NaN."""
        left, right = self.pair("unordered", a, a if b is None else b)
        self.need("unordered", left, "floats", left.type.is_float)
        result = vector(i1, left.type.lanes)
        first = self.emit(result, "IsNan", left)
        return first if right is left else first | self.emit(result, "IsNan", right)

    def infinite(self, x: Value) -> Value:
        """True where x is infinite."""
        self.need("infinite", x, "a float", x.type.is_float)
        return self.emit(vector(i1, x.type.lanes), "IsInf", x)

    def below(self, a: Number, b: Number, relation: str = "lt") -> Value:
        """Compares integers as unsigned."""
        left, right = self.pair("below", a, b)
        self.need("below", left, "integers", left.type.is_integer)
        return self.emit(vector(i1, left.type.lanes), _RELATIONS[relation][2], left, right)

    def select(self, condition: Value, a: Number, b: Number) -> Value:
        """Returns a where `condition` is true, else b."""
        left, right = self.pair("select", a, b)
        self.need("select", condition, "a truth value as condition", condition.type.is_bool)
        lanes = max(condition.type.lanes, left.type.lanes)
        left, right = (self.lift(side, vector(left.type.scalar, lanes)) for side in (left, right))
        return self.emit(left.type, "Select", self.lift(condition, vector(i1, lanes)), left, right)

    def all_lanes(self, condition: Value) -> Value:
        """True if every lane is."""
        self.need("all_lanes", condition, "a vector of truth values", condition.type.is_bool)
        return self.emit(i1, "All", condition) if condition.type.lanes else condition

    def any_lane(self, condition: Value) -> Value:
        """True if some lane is."""
        self.need("any_lane", condition, "a vector of truth values", condition.type.is_bool)
        return self.emit(i1, "Any", condition) if condition.type.lanes else condition

    # Conversions

    def convert(self, value: Value, element: Type) -> Value:
        """Converts between numbers: floats to integers truncate, integers are signed, truth values give 0 or 1.

        A narrower float is rounded as the device does it; `to_f16_bits` and `to_bf16_bits` round to nearest even.
        """
        self.check(value)
        source, target = value.type, vector(element.scalar, value.type.lanes)
        if source == target:
            return value
        if source.is_bool:
            return self.select(value, self.constant(target, 1), self.constant(target, 0))
        if target.is_bool:
            return value != 0
        if source.is_float and target.is_float:
            name = "FConvert"
        elif source.is_float:
            name = "ConvertFToS"
        elif target.is_float:
            name = "ConvertSToF"
        else:
            name = "SConvert"
        return self.emit(target, name, value)

    def convert_unsigned(self, value: Value, element: Type) -> Value:
        """Converts an integer that counts from 0 to a float, or a float of at least 0 to such an integer."""
        target = vector(element.scalar, value.type.lanes)
        if value.type.is_integer == target.is_integer or value.type.is_bool or target.is_bool:
            raise TypeError(f"`convert_unsigned` converts between integers and floats, not {value.type} to {target}")
        return self.emit(target, "ConvertFToU" if value.type.is_float else "ConvertUToF", value)

    def widen_unsigned(self, value: Value, element: Type) -> Value:
        """Extends an integer with zeros, or cuts it short."""
        target = vector(element.scalar, value.type.lanes)
        self.need("widen_unsigned", value, "an integer", value.type.is_integer and target.is_integer)
        return value if value.type == target else self.emit(target, "UConvert", value)

    def bitcast(self, value: Value, type_: Type) -> Value:
        """Takes the same bits as another type; a scalar type stands for a vector of as many lanes if that fits."""
        if value.type.lanes and not type_.lanes and value.type.bits == type_.bits:
            type_ = vector(type_, value.type.lanes)
        if value.type.is_bool or type_.is_bool or value.type.nbytes != type_.nbytes:
            raise TypeError(f"`bitcast` from {value.type} to {type_}: they have different sizes")
        return value if value.type == type_ else self.emit(type_, "Bitcast", value)

    def from_bf16_bits(self, bits: Value) -> Value:
        """The f32 whose upper half `bits` (i16) are: reads bfloat16."""
        self.need("from_bf16_bits", bits, "i16", bits.type.scalar == i16)
        return self.bitcast(self.widen_unsigned(bits, i32) << 16, f32)

    def to_bf16_bits(self, x: Value) -> Value:
        """Rounds f32 to bfloat16, to nearest even; NaN stays NaN, quiet. Returns i16."""
        return self.widen_unsigned(self.bf16_word(x), i16)

    def bf16_word(self, x: Value) -> Value:
        """The bits of `to_bf16_bits` as i32; needs no integers of 16 bits."""
        return self._bf16_word(x) >> 16

    def round_to_bf16(self, x: Value) -> Value:
        """The f32 that `from_bf16_bits` gives for `to_bf16_bits`; needs no integers of 16 bits."""
        return self.bitcast(self._bf16_word(x) & -0x10000, f32)

    def _bf16_word(self, x: Value) -> Value:
        """A word whose upper half is the bfloat16."""
        self.need("to_bf16_bits", x, "f32", x.type.scalar == f32)
        bits = self.bitcast(x, i32)
        is_nan = (bits & 0x7FFFFFFF) > 0x7F800000
        return self.select(is_nan, bits | 0x400000, bits + 0x7FFF + ((bits >> 16) & 1))

    def from_f16_bits(self, bits: Value) -> Value:
        """The f32 equal to the half-precision number whose bits (i16) these are; works without arithmetic in f16."""
        self.need("from_f16_bits", bits, "i16", bits.type.scalar == i16)
        return self._from_half(self.widen_unsigned(bits, i32))

    def _from_half(self, wide: Value) -> Value:
        sign = (wide & 0x8000) << 16
        size = (wide & 0x7FFF) << 13
        exponent = size & 0x0F800000
        normal = size + (112 << 23)
        special = size + (224 << 23)  # infinity and NaN
        small = self.bitcast(self.bitcast(size + (113 << 23), f32) - 2.0**-14, i32)  # below 2^-14, and 0
        result = self.select(exponent == 0x0F800000, special, self.select(exponent == 0, small, normal))
        return self.bitcast(result | sign, f32)

    def to_f16_bits(self, x: Value) -> Value:
        """Rounds f32 to half precision, to nearest even; NaN stays NaN, quiet. Returns i16.

        Vulkan leaves the rounding of `convert(x, f16)` to the device.
        """
        return self.widen_unsigned(self.f16_word(x), i16)

    def round_to_f16(self, x: Value) -> Value:
        """The f32 that `from_f16_bits` gives for `to_f16_bits`; needs no integers of 16 bits."""
        return self._from_half(self.f16_word(x))

    def f16_word(self, x: Value) -> Value:
        """The bits of `to_f16_bits` as i32; needs no integers of 16 bits."""
        self.need("to_f16_bits", x, "f32", x.type.scalar == f32)
        bits = self.bitcast(x, i32)
        size = bits & 0x7FFFFFFF
        normal = (size - (112 << 23) + 0xFFF + ((size >> 13) & 1)) >> 13
        # Below 2^-14 the sum with 1/2 has its last place at 2^-24, the smallest half: the addition rounds.
        small = self.bitcast(self.bitcast(size, f32) + 0.5, i32) - 0x3F000000
        result = self.select(size < 0x38800000, small, self.select(size >= 0x47800000, 0x7C00, normal))
        result = self.select(size > 0x7F800000, 0x7E00, result)
        return result | ((bits >> 16) & 0x8000)

    def _integers(self, name: str, opcode: str, a: Number, b: Number) -> Value:
        left, right = self.pair(name, a, b)
        self.need(name, left, "integers", left.type.is_integer)
        return self.emit(left.type, opcode, left, right)
