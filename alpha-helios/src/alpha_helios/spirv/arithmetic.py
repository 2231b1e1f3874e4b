"""Functions of numbers, lanes of vectors, and bits."""

from collections.abc import Callable, Sequence

from alpha_helios.spirv.operators import Operators
from alpha_helios.spirv.types import f16, f32, f64, i32, vector
from alpha_helios.spirv.value import Number, Value

__all__ = ["Arithmetic"]


class Arithmetic(Operators):
    """Computes with values."""

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
        fits = x.type.is_float and x.type.scalar in ((f16, f32) if name in _NOT_F64 else (f16, f32, f64))
        self.need(name.lower(), x, "a float", fits)
        return self.extended(name, x.type, x)


_NOT_F64 = ("Exp", "Exp2", "Log", "Log2", "Tanh", "Sinh", "Cosh", "Sin", "Cos", "Tan", "Atan")
