"""Every operation on values makes a module that is valid."""

from collections.abc import Callable

import pytest
from tests.helios.spirv.tools import validated

from alpha_helios.spirv import math
from alpha_helios.spirv.disassemble import disassemble
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import Type, bf16, f16, f32, f64, i1, i8, i16, i32, i64, vector
from alpha_helios.spirv.value import Value

Operation = Callable[[Kernel, Value, Value], Value]

_NUMBERS: dict[str, Operation] = {
    "add": lambda k, a, b: a + b,
    "sub": lambda k, a, b: 3 - a - b,
    "mul": lambda k, a, b: 2 * a * b,
    "div": lambda k, a, b: a / b,
    "floordiv": lambda k, a, b: 7 // a + a // b,
    "rem": lambda k, a, b: a % b + 5 % a,
    "negate": lambda k, a, b: -a,
    "select": lambda k, a, b: k.select(a < b, a, 1) + k.select(a >= b, 2, b),
    "relations": lambda k, a, b: k.select((a <= b) & (a != b) | (a > 3) ^ ~(a == b), a, b),
    "maximum": lambda k, a, b: k.maximum(a, b) + k.minimum(a, 2),
    "larger": lambda k, a, b: k.larger(a, b) + k.smaller(a, 2),
}
_INTEGERS: dict[str, Operation] = {
    "bits": lambda k, a, b: (a & b) | (a ^ 5) | ~b | (1 & a) | (2 | b) ^ (3 ^ a),
    "shifts": lambda k, a, b: (a << 2) + (a >> b) + (1 << b) + (7 >> a) + k.shift_right_signed(a, 3),
    "unsigned": lambda k, a, b: k.divide_unsigned(a, b) + k.remainder_unsigned(a, 7),
    "below": lambda k, a, b: k.select(k.below(a, b) | k.below(a, 9, "ge"), a, b),
}
_FLOATS: dict[str, Operation] = {
    "fma": lambda k, a, b: k.fma(a, b, 1.5) + k.fma(2, a, b),
    "nan": lambda k, a, b: k.select(k.unordered(a, b) | k.unordered(a) | k.infinite(b), a, b),
    "rounding": lambda k, a, b: k.floor(a) + k.ceil(b) + k.truncate(a) + k.round_even(b) + k.fraction(a),
    "roots": lambda k, a, b: k.sqrt(a) + k.inverse_sqrt(b),
    "size": lambda k, a, b: k.absolute(a) + k.sign(b),
    "scale": lambda k, a, b: k.scale_by_power(a, 3) + b,
}
_TRANSCENDENTAL: dict[str, Operation] = {
    "powers": lambda k, a, b: k.exp(a) + k.exp2(b) + k.log(a) + k.log2(b) + k.power(a, b),
    "circle": lambda k, a, b: k.sin(a) + k.cos(b) + k.tan(a) + k.atan(b),
    "hyperbolic": lambda k, a, b: k.tanh(a) + k.sinh(b) + k.cosh(a),
}
_WORDS: dict[str, Operation] = {
    "product": lambda k, a, b: k.umul_extended(a, 0x9E3779B9)[0] ^ k.umul_extended(a, b)[1],
    "counts": lambda k, a, b: k.count_ones(a) + k.lowest_bit(b) + k.highest_bit(a) + k.reverse_bits(b),
    "field": lambda k, a, b: k.field(a, 3, 5) + k.field(b, 1, 2, signed=True),
    "size": lambda k, a, b: k.absolute(a) + k.sign(b),
    "unsigned extremes": lambda k, a, b: k.maximum_unsigned(a, b) + k.minimum_unsigned(a, 4),
}


def _cases() -> list[tuple[str, Operation, Type]]:
    groups = [
        (_NUMBERS, (i8, i16, i32, i64, f16, f32, f64)),
        (_INTEGERS, (i8, i16, i32, i64)),
        (_FLOATS, (f16, f32, f64)),
        (_TRANSCENDENTAL, (f16, f32)),
        (_WORDS, (i32,)),
    ]
    return [(name, case, t) for table, types in groups for name, case in table.items() for t in types]


@pytest.mark.parametrize(("operation", "type_"), [pytest.param(c, t, id=f"{n}-{t}") for n, c, t in _cases()])
def test_an_operation_is_valid_on_scalars_and_vectors(operation: Operation, type_: Type) -> None:
    k = Kernel()
    place = k.pointer(type_)
    for lanes in (0, 2, 3, 4):
        place.store(4, operation(k, place.load(8, lanes), place.load(12, lanes)))
    validated(k)


_CONVERTED = (i1, i8, i16, i32, i64, f16, f32, f64)


@pytest.mark.parametrize("source", _CONVERTED, ids=str)
def test_every_conversion_is_valid(source: Type) -> None:
    k = Kernel()
    stored = i32 if source == i1 else source
    places = k.pointer(stored)
    for lanes in (0, 4):
        value = k.convert(places.load(0, lanes), source)
        for target in _CONVERTED:
            result = k.convert(value, target)
            assert result.type == vector(target, lanes)
            if target != i1:
                places.at(64, target).store(0, result)
    validated(k)


def test_unsigned_conversions_are_valid() -> None:
    k = Kernel()
    p = k.pointer(i32)
    p.cast(f32)[0] = k.convert_unsigned(p[0], f32)
    p[1] = k.convert_unsigned(p.cast(f32)[1], i32)
    p.cast(i64)[2] = k.widen_unsigned(p[2], i64)
    p.cast(i8)[64] = k.widen_unsigned(p[2], i8)
    validated(k)


@pytest.mark.parametrize("lanes", [0, 2, 3, 4])
def test_sixteen_bit_floats_need_only_storage(lanes: int) -> None:
    k = Kernel()
    narrow, wide = k.pointer(i16), k.pointer(f32)
    wide.store(0, k.from_bf16_bits(narrow.load(0, lanes)))
    narrow.store(8, k.to_bf16_bits(wide.load(8, lanes)))
    wide.store(16, k.from_f16_bits(narrow.load(16, lanes)))
    narrow.store(24, k.to_f16_bits(wide.load(24, lanes)))
    wide.store(32, k.convert(narrow.cast(f16).load(32, lanes), f32))
    binary = validated(k)
    assert binary.requirements == {"bufferDeviceAddress", "shaderInt64", "storageBuffer16BitAccess"}


def test_halves_are_packed_in_words() -> None:
    k = Kernel()
    p = k.pointer(i32)
    p[0] = k.pack_halves(k.unpack_halves(p[1]) * 2)
    assert "shaderFloat16" not in validated(k).requirements


@pytest.mark.parametrize("name", math.__all__)
@pytest.mark.parametrize("lanes", [0, 4])
def test_accurate_functions_are_valid(name: str, lanes: int) -> None:
    k = Kernel()
    p = k.pointer(f32)
    p.store(0, getattr(math, name)(k, p.load(4, lanes)))
    validated(k)


def test_vectors_are_taken_apart_and_put_together() -> None:
    k = Kernel()
    p = k.pointer(f32)
    n = k.integer()
    v, w = p.load(0, 4), p.load(4, 4)
    p.store(8, k.vector(v[0], w[1], 2.0, v[3]))
    p.store(12, k.shuffle(v, w, (0, 5, 2, 7)))
    p.store(16, k.insert(v, 2, w[0]))
    p.store(20, k.constants(f32, 1, 2, 3, 4) * v)
    p[24] = k.extract(v, n) + k.horizontal_sum(w) + k.horizontal_max(v) + k.dot(v, w)
    p[25] = k.fold(p.load(28, 3), lambda a, b: a * b)
    with k.if_(k.all_lanes(v < w) | k.any_lane(v == 0)):
        p.store(32, v * w[1] + k.splat(w[2], 4))
    validated(k)


def test_folding_takes_every_lane_once_in_a_fixed_order() -> None:
    k = Kernel()
    order: list[tuple[int, int]] = []
    value = k.pointer(f32).load(0, 3)
    lanes = k.lanes(value)

    def combine(a: Value, b: Value) -> Value:
        order.append((a.id, b.id))
        return a

    first = [lane.id + 3 for lane in lanes]  # `fold` takes the lanes anew
    k.fold(value, combine)
    assert order == [(first[0], first[2]), (first[0], first[1])]


def test_truth_values_combine() -> None:
    k = Kernel()
    p = k.pointer(i32)
    a, b = p[0] > 0, p[1] > 0
    p[2] = k.convert((a & b) | (a ^ True) & ~b | (a == b) | (a != b), i32)
    validated(k)


def test_products_and_sums_stay_apart_unless_asked_otherwise() -> None:
    k = Kernel()
    p = k.pointer(f32)
    exact = p[0] * p[1] + p[2]
    k.exact = False
    loose = p[0] * p[1] + p[2]
    p[3] = exact + loose
    listing = disassemble(validated(k).code)
    assert listing.count("exact FMul") == listing.count("exact FAdd") == 1
    assert listing.count("FMul") == 2
    assert listing.count("FAdd") == 3


def test_constants_are_rounded_to_their_type() -> None:
    assert f16.encode(65520.0) == 0x7C00
    assert f16.encode(1 + 2.0**-11) == 0x3C00  # halfway: to even
    assert f32.encode(1e39) == 0x7F800000
    assert f32.encode(-1e39) == 0xFF800000
    assert bf16.encode(1 + 2.0**-8) == 0x3F80
    assert bf16.encode(1 + 3 * 2.0**-8) == 0x3F82
    assert bf16.encode(float("nan")) & 0x7FFF > 0x7F80
    assert i8.encode(-1) == 0xFF
    assert i32.encode(0xFFFFFFFF) == i32.encode(-1)
