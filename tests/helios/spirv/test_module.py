"""Modules hold each type and constant once, and ask the device for what they use and nothing else."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helios.spirv.tools import validated

from alpha_helios.spirv.disassemble import decode
from alpha_helios.spirv.kernel import Binary, Kernel
from alpha_helios.spirv.types import Type, bf16, f16, f32, f64, i1, i8, i16, i32, i64, vector


def _declared(binary: Binary) -> list[tuple[object, ...]]:
    kinds = ("Type", "Constant")
    return [(row.name, row.type, row.operands) for row in decode(binary.code) if row.name.startswith(kinds)]


def test_types_and_constants_are_declared_once() -> None:
    k = Kernel()
    p = k.pointer(f32)
    for _ in range(3):
        p.store(4, p.load(0, 4) * 2.5 + k.constants(f32, 1, 2, 2.5, 2.5))
        p.cast(i32)[9] = p.cast(i32)[7] + 7
    rows = [row for row in _declared(validated(k)) if row[0] != "TypeStruct"]
    assert len(rows) == len(set(rows))


def test_zeros_of_both_signs_are_two_constants() -> None:
    k = Kernel()
    p = k.pointer(f32)
    p[0] = k.select(p[1] > 0, 0.0 * p[2], -0.0)
    values = {row[2] for row in _declared(validated(k)) if row[0] == "Constant"}
    assert {(("literal", 0),), (("literal", 0x80000000),)} <= values


def test_the_same_calls_make_the_same_bytes() -> None:
    def build() -> bytes:
        k = Kernel((64, 2, 1))
        p, n = k.pointer(f32), k.integer()
        with k.range_(k.global_(0), n) as i:
            p[i] = k.exp(p[i]) * k.subgroup_add(p[0])
        return validated(k).code

    assert build() == build()


@pytest.mark.parametrize("arguments", ["push", "memory"])
def test_arguments_lie_in_order_at_multiples_of_their_size(arguments: str) -> None:
    k = Kernel(arguments=arguments)  # type: ignore[arg-type]
    p = k.pointer(f32)
    n, m, x, last = k.integer(), k.long(), k.number(), k.integer()
    p[m] = x + k.convert(n + last, f32)
    q = k.pointer(f32)
    q[0] = 1.0
    expected = (("address", 0), ("i32", 8), ("i64", 16), ("f32", 24), ("i32", 28), ("address", 32))
    binary = validated(k)
    assert binary.arguments == k.arguments == expected
    assert binary.argument_bytes == 40
    assert binary.in_memory == (arguments == "memory")
    offsets = [
        row.operands[-1][1]
        for row in decode(binary.code)
        if row.name == "MemberDecorate" and ("decoration", 35) in row.operands
    ]
    assert offsets == ([offset for _, offset in expected] if arguments == "push" else [0])


def test_arguments_in_memory_may_be_many() -> None:
    k = Kernel(arguments="memory")
    p = k.pointer(f32)
    with k.if_(k.local_index == 0):
        for _ in range(40):
            q = k.pointer(f32)
            q[0] = k.number() + p[0]
    assert validated(k).argument_bytes == 8 + 40 * 16 - 4


def test_a_kernel_without_arguments_pushes_nothing() -> None:
    k = Kernel()
    k.shared(f32, 4)[0] = 1.0
    binary = validated(k)
    assert binary.arguments == ()
    assert "arguments" not in {value for row in decode(binary.code) for _, value in row.operands}


def test_the_place_of_an_invocation_is_read_once_wherever_it_is_asked_for() -> None:
    k = Kernel((8, 4, 2))
    p = k.pointer(i32)
    with k.if_(p[0] > 0):
        inside = k.group(1) + k.local(0) + k.global_(2) + k.groups(0) + k.local_index
        p[1] = inside
    p[2] = k.group(1) + k.group(0) + k.subgroup_size + k.subgroup_lane
    binary = validated(k)
    names = [row.name for row in decode(binary.code)]
    assert names.count("CompositeExtract") == 5
    assert binary.workgroup == (8, 4, 2)
    assert k.invocations == 64


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_float_controls_are_requirements(bits: int) -> None:
    k = Kernel()
    k.pointer({16: f16, 32: f32, 64: f64}[bits])[0] = 1.0
    k.preserve_nan(bits)
    k.preserve_nan(bits)
    k.preserve_denormals(bits)
    k.round_to_nearest(bits)
    names = ("SignedZeroInfNanPreserve", "DenormPreserve", "RoundingModeRTE")
    assert {f"shader{name}Float{bits}" for name in names} <= validated(k).requirements
    k = Kernel()
    k.flush_denormals(bits)
    assert f"shaderDenormFlushToZeroFloat{bits}" in validated(k).requirements


def test_a_subgroup_size_is_a_requirement() -> None:
    k = Kernel(subgroup_size=16)
    binary = validated(k)
    assert binary.subgroup_size == 16
    assert "subgroupSizeControl" in binary.requirements


def test_constants_may_be_replaced_when_the_pipeline_is_made() -> None:
    k = Kernel()
    p = k.pointer(f32)
    number, flag = k.specialization(f32, 0, 1.5), k.specialization(i1, 1, 1)
    count, long = k.specialization(i32, 2, -4), k.specialization(i64, 3, 2**40)
    with k.if_(flag):
        p[k.convert(count, i64) + long] = number
    rows = list(decode(validated(k).code))
    assert [row.operands[-1][1] for row in rows if ("decoration", 1) in row.operands] == [0, 1, 2, 3]
    assert sum(row.name.startswith("SpecConstant") for row in rows) == 4


@given(st.sampled_from([i8, i16, i32, i64]), st.integers(-(2**63), 2**64 - 1))
def test_integers_are_encoded_or_refused(type_: Type, value: int) -> None:
    if -(2 ** (type_.bits - 1)) <= value < 2**type_.bits:
        assert type_.encode(value) == value % 2**type_.bits
    else:
        with pytest.raises(ValueError, match="does not fit into"):
            type_.encode(value)


@given(st.floats(width=32))
def test_floats_of_32_bits_are_encoded_exactly(value: float) -> None:
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    assert f32.encode(value) == bits


@given(st.floats(width=32, allow_nan=False))
def test_bfloats_are_the_nearest_ones(value: float) -> None:
    def number(bits: int) -> float:
        return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])

    bits = bf16.encode(value)
    distance = abs(number(bits) - value)
    if abs(number(bits)) != float("inf"):
        assert all(distance <= abs(number(near) - value) for near in (bits - 1, bits + 1) if near & 0x7FFF < 0x7F80)


def test_types_are_spelled_shortly() -> None:
    spelled = [str(type_) for type_ in (i1, i32, f16, bf16, vector(f32, 4), vector(i64, 1))]
    assert spelled == ["i1", "i32", "f16", "bf16", "f32x4", "i64"]
    assert (vector(f32, 4).nbytes, i1.nbytes, i64.nbytes) == (16, 1, 8)


def test_arguments_in_memory_are_indexed_as_a_table() -> None:
    k = Kernel(arguments="memory")
    n = k.integer()
    addresses, sizes = k.table(3), k.table(2, "i32")
    p = k.pointer(f32)
    with k.range_(0, n) as i:
        p.cast(i64)[i] = addresses[i] + k.convert(sizes[i], i64)
    binary = validated(k)
    assert [offset for _, offset in binary.arguments] == [0, 8, 16, 24, 32, 36, 40]
    assert [kind for kind, _ in binary.arguments] == ["i32", *["address"] * 3, *["i32"] * 2, "address"]
    with pytest.raises(ValueError, match="a table of 0 arguments"):
        Kernel(arguments="memory").table(0)
    with pytest.raises(ValueError, match="a table, which can lie only in memory"):
        Kernel().table(2)


def test_a_type_is_one_object_however_it_is_named() -> None:
    """Builders compare types by identity."""
    four = vector(f32, 4)
    assert vector(f32, 4) is four
    assert vector(four, 2) is vector(f32, 2)
    assert four.scalar is vector(four, 0) is vector(f32, 1) is f32
    k = Kernel()
    assert k.pointer(f32).load(0, 4).type is four
