"""Arithmetic, comparisons, conversions and functions of numbers."""

from collections.abc import Callable, Sequence

from alpha_helios.spirv.builder import Builder
from alpha_helios.spirv.types import Type, f16, f32, i1, i16, i32, vector
from alpha_helios.spirv.value import Number, Value

__all__ = ["Arithmetic"]

_INTEGER = {"add": "IAdd", "sub": "ISub", "mul": "IMul", "div": "SDiv", "rem": "SRem"}
_FLOAT = {"add": "FAdd", "sub": "FSub", "mul": "FMul", "div": "FDiv", "rem": "FRem"}
_BITS = {
    "and": "BitwiseAnd",
    "or": "BitwiseOr",
    "xor": "BitwiseXor",
    "shl": "ShiftLeftLogical",
    "lshr": "ShiftRightLogical",
    "ashr": "ShiftRightArithmetic",
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


class Arithmetic(Builder):
    """Computes with values."""

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
        self.need("to_bf16_bits", x, "f32", x.type.scalar == f32)
        bits = self.bitcast(x, i32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        is_nan = (bits & 0x7FFFFFFF) > 0x7F800000
        return self.widen_unsigned(self.select(is_nan, (bits >> 16) | 0x40, rounded), i16)

    def from_f16_bits(self, bits: Value) -> Value:
        """The f32 equal to the half-precision number whose bits (i16) these are; works without arithmetic in f16."""
        self.need("from_f16_bits", bits, "i16", bits.type.scalar == i16)
        wide = self.widen_unsigned(bits, i32)
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
        self.need("to_f16_bits", x, "f32", x.type.scalar == f32)
        bits = self.bitcast(x, i32)
        size = bits & 0x7FFFFFFF
        normal = (size - (112 << 23) + 0xFFF + ((size >> 13) & 1)) >> 13
        # Below 2^-14 the sum with 1/2 has its last place at 2^-24, the smallest half: the addition rounds.
        small = self.bitcast(self.bitcast(size, f32) + 0.5, i32) - 0x3F000000
        result = self.select(size < 0x38800000, small, self.select(size >= 0x47800000, 0x7C00, normal))
        result = self.select(size > 0x7F800000, 0x7E00, result)
        return self.widen_unsigned(result | ((bits >> 16) & 0x8000), i16)

    # Lanes

    def vector(self, *lanes: Number) -> Value:
        """Puts scalars together."""
        first = next((lane for lane in lanes if isinstance(lane, Value)), None)
        if first is None or first.type.lanes:
            raise TypeError("`vector` takes scalars, at least one of them a value of the kernel")
        type_ = vector(first.type, len(lanes))
        return self.emit(type_, "CompositeConstruct", *(self.lift(lane, first.type) for lane in lanes))

    def extract(self, value: Value, lane: int | Value) -> Value:
        """One lane of a vector."""
        lanes = value.type.lanes
        if isinstance(lane, Value):
            self.need("extract", lane, "an integer as lane", lane.type.is_integer and not lane.type.lanes)
            return self.emit(value.type.scalar, "VectorExtractDynamic", value, lane)
        if not 0 <= lane < lanes:
            raise IndexError(f"lane {lane} of {value.type}")
        return self.emit(value.type.scalar, "CompositeExtract", value, lane)

    def insert(self, value: Value, lane: int, scalar: Number) -> Value:
        """The vector with one lane replaced."""
        if not 0 <= lane < value.type.lanes:
            raise IndexError(f"lane {lane} of {value.type}")
        return self.emit(value.type, "CompositeInsert", self.lift(scalar, value.type.scalar), value, lane)

    def lanes(self, value: Value) -> list[Value]:
        """All lanes of a vector; a scalar is its only one."""
        return [self.extract(value, lane) for lane in range(value.type.lanes)] if value.type.lanes else [value]

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Picks lanes of two vectors one after the other."""
        left, right = self.pair("shuffle", a, b)
        self.need("shuffle", left, "vectors", left.type.lanes > 0)
        if not all(0 <= lane < 2 * left.type.lanes for lane in lanes) or len(lanes) < 2:
            raise IndexError(f"`shuffle` of lanes {list(lanes)} from two of {left.type}")
        return self.emit(vector(left.type.scalar, len(lanes)), "VectorShuffle", left, right, *lanes)

    def fold(self, value: Value, combine: Callable[[Value, Value], Value]) -> Value:
        """Combines the lanes in a fixed order: halves with each other."""
        lanes = self.lanes(value)
        while len(lanes) > 1:
            half = (len(lanes) + 1) // 2
            lanes = [combine(a, b) for a, b in zip(lanes, lanes[half:], strict=False)] + lanes[len(lanes) - half : half]
        return lanes[0]

    def horizontal_sum(self, value: Value) -> Value:
        """Adds the lanes in a fixed order."""
        return self.fold(value, lambda a, b: a + b)

    def horizontal_max(self, value: Value) -> Value:
        return self.fold(value, self.maximum)

    def dot(self, a: Value, b: Value) -> Value:
        """The sum of the products of two vectors of floats, added in an order that the device chooses."""
        left, right = self.pair("dot", a, b)
        self.need("dot", left, "vectors of floats", left.type.is_float and left.type.lanes > 0)
        return self.emit(left.type.scalar, "Dot", left, right)

    # Functions of numbers

    def fma(self, a: Number, b: Number, c: Number) -> Value:
        """a * b + c, in one rounding where the device has such an instruction."""
        values = [value for value in (a, b, c) if isinstance(value, Value)]
        if not values:
            raise TypeError("`fma` needs at least one value of the kernel")
        type_ = max(values, key=lambda value: value.type.lanes).type
        self.need("fma", values[0], "floats", type_.is_float)
        result = self.extended("Fma", type_, *(self.lift(value, type_) for value in (a, b, c)))
        if self.exact:
            self.module.decorate(result.id, "NoContraction")
        return result

    def absolute(self, x: Value) -> Value:
        self.need("absolute", x, "a number", not x.type.is_bool)
        return self.extended("FAbs" if x.type.is_float else "SAbs", x.type, x)

    def sign(self, x: Value) -> Value:
        """-1, 0 or 1."""
        self.need("sign", x, "a number", not x.type.is_bool)
        return self.extended("FSign" if x.type.is_float else "SSign", x.type, x)

    def maximum(self, a: Number, b: Number) -> Value:
        """The larger; of a number and NaN the number, for floats."""
        left, right = self.pair("maximum", a, b)
        return self.extended("NMax" if left.type.is_float else "SMax", left.type, left, right)

    def minimum(self, a: Number, b: Number) -> Value:
        """The smaller; of a number and NaN the number, for floats."""
        left, right = self.pair("minimum", a, b)
        return self.extended("NMin" if left.type.is_float else "SMin", left.type, left, right)

    def larger(self, a: Number, b: Number) -> Value:
        """The larger; NaN if either is."""
        left, right = self.pair("larger", a, b)
        if not left.type.is_float:
            return self.maximum(left, right)
        return self.select(self.unordered(left), left, self.select(left > right, left, right))

    def smaller(self, a: Number, b: Number) -> Value:
        """The smaller; NaN if either is."""
        left, right = self.pair("smaller", a, b)
        if not left.type.is_float:
            return self.minimum(left, right)
        return self.select(self.unordered(left), left, self.select(left < right, left, right))

    def maximum_unsigned(self, a: Number, b: Number) -> Value:
        left, right = self.pair("maximum_unsigned", a, b)
        return self.extended("UMax", left.type, left, right)

    def minimum_unsigned(self, a: Number, b: Number) -> Value:
        left, right = self.pair("minimum_unsigned", a, b)
        return self.extended("UMin", left.type, left, right)

    def sqrt(self, x: Value) -> Value:
        return self._of_float("Sqrt", x)

    def inverse_sqrt(self, x: Value) -> Value:
        return self._of_float("InverseSqrt", x)

    def exp(self, x: Value) -> Value:
        """e^x within 3 + 2 |x| units in the last place; `spirv.math.exp` is accurate everywhere."""
        return self._of_float("Exp", x)

    def exp2(self, x: Value) -> Value:
        return self._of_float("Exp2", x)

    def log(self, x: Value) -> Value:
        """Natural logarithm, as accurate as the device's; see `spirv.math.log`."""
        return self._of_float("Log", x)

    def log2(self, x: Value) -> Value:
        return self._of_float("Log2", x)

    def tanh(self, x: Value) -> Value:
        """Hyperbolic tangent, as accurate as the device's, which may overflow to NaN; see `spirv.math.tanh`."""
        return self._of_float("Tanh", x)

    def sinh(self, x: Value) -> Value:
        return self._of_float("Sinh", x)

    def cosh(self, x: Value) -> Value:
        return self._of_float("Cosh", x)

    def sin(self, x: Value) -> Value:
        return self._of_float("Sin", x)

    def cos(self, x: Value) -> Value:
        return self._of_float("Cos", x)

    def tan(self, x: Value) -> Value:
        return self._of_float("Tan", x)

    def atan(self, x: Value) -> Value:
        return self._of_float("Atan", x)

    def floor(self, x: Value) -> Value:
        return self._of_float("Floor", x)

    def ceil(self, x: Value) -> Value:
        return self._of_float("Ceil", x)

    def truncate(self, x: Value) -> Value:
        return self._of_float("Trunc", x)

    def fraction(self, x: Value) -> Value:
        """x - floor(x)."""
        return self._of_float("Fract", x)

    def round_even(self, x: Value) -> Value:
        """The nearest whole number; halves go to the even one."""
        return self._of_float("RoundEven", x)

    def power(self, a: Number, b: Number) -> Value:
        left, right = self.pair("power", a, b)
        self.need("power", left, "floats", left.type.is_float)
        return self.extended("Pow", left.type, left, right)

    def scale_by_power(self, x: Value, exponent: Number) -> Value:
        """x 2^exponent, for an i32."""
        self.need("scale_by_power", x, "a float", x.type.is_float)
        return self.extended("Ldexp", x.type, x, self.lift(exponent, vector(i32, x.type.lanes)))

    # Bits

    def umul_extended(self, a: Number, b: Number) -> tuple[Value, Value]:
        """The 64-bit product of two i32 taken as unsigned: its upper and its lower half."""
        left, right = self.pair("umul_extended", a, b)
        self.need("umul_extended", left, "i32", left.type.scalar == i32)
        halves = self.module.unique("TypeStruct", self.module.type(left.type), self.module.type(left.type))
        product = self.emit_raw(halves, "UMulExtended", left, right)
        low, high = (self.emit(left.type, "CompositeExtract", product, half) for half in (0, 1))
        return high, low

    def count_ones(self, x: Value) -> Value:
        self.need("count_ones", x, "i32", x.type.scalar == i32)
        return self.emit(x.type, "BitCount", x)

    def reverse_bits(self, x: Value) -> Value:
        self.need("reverse_bits", x, "i32", x.type.scalar == i32)
        return self.emit(x.type, "BitReverse", x)

    def lowest_bit(self, x: Value) -> Value:
        """The place of the lowest bit that is set; -1 if none is."""
        self.need("lowest_bit", x, "i32", x.type.scalar == i32)
        return self.extended("FindILsb", x.type, x)

    def highest_bit(self, x: Value) -> Value:
        """The place of the highest bit that is set; -1 if none is."""
        self.need("highest_bit", x, "i32", x.type.scalar == i32)
        return self.extended("FindUMsb", x.type, x)

    def field(self, x: Value, offset: Number, count: Number, *, signed: bool = False) -> Value:
        """`count` bits of an i32 from `offset` on."""
        self.need("field", x, "i32", x.type.scalar == i32)
        name = "BitFieldSExtract" if signed else "BitFieldUExtract"
        return self.emit(x.type, name, x, self.lift(offset, i32), self.lift(count, i32))

    def pack_halves(self, x: Value) -> Value:
        """Two f32 as two halves in one i32, rounded as the device does it; the first lane lies in the low bits."""
        self.need("pack_halves", x, "f32x2", x.type == vector(f32, 2))
        return self.extended("PackHalf2x16", i32, x)

    def unpack_halves(self, x: Value) -> Value:
        """Two halves of an i32 as two f32."""
        self.need("unpack_halves", x, "i32", x.type == i32)
        return self.extended("UnpackHalf2x16", vector(f32, 2), x)

    def _of_float(self, name: str, x: Value) -> Value:
        # The extended instructions take f16 and f32, and some of them f64.
        fits = x.type.is_float and x.type.scalar in ((f16, f32) if name in _NOT_F64 else (f16, f32, Type("f", 64)))
        self.need(name.lower(), x, "a float", fits)
        return self.extended(name, x.type, x)

    def _integers(self, name: str, opcode: str, a: Number, b: Number) -> Value:
        left, right = self.pair(name, a, b)
        self.need(name, left, "integers", left.type.is_integer)
        return self.emit(left.type, opcode, left, right)


_NOT_F64 = ("Exp", "Exp2", "Log", "Log2", "Tanh", "Sinh", "Cosh", "Sin", "Cos", "Tan", "Atan")
