"""The listing says what a module does; that it reads every module as spirv-dis does is checked wherever one is made."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_helios.spirv.disassemble import decode, disassemble
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import bf16, f16, f32, f64, i8, i32, i64


def _kernel() -> Kernel:
    k = Kernel((64, 1, 1))
    p, n = k.pointer(f32), k.integer()
    with k.range_(0, n) as i:
        p[i] = k.exp(p[i]) * -1.5
    return k


def test_types_and_constants_stand_where_they_are_used() -> None:
    lines = [line.strip() for line in disassemble(_kernel().finish().code).splitlines()]
    assert any(line.endswith("= ExtInst GLSL.std.450, Exp, " + line.rpartition(" ")[2]) for line in lines)
    assert any(": f32 = exact FMul %" in line and line.endswith(", -1.5") for line in lines)
    assert any(line.startswith("EntryPoint GLCompute, %") and '(main), "main", %' in line for line in lines)
    assert any("PushConstant*{i64, i32} = Variable PushConstant" in line for line in lines)
    assert any(": i64 = IMul %" in line and line.endswith(", 4") for line in lines)
    assert not any("Constant " in line and "Push" not in line for line in lines)


def test_numbers_are_printed_in_their_type() -> None:
    k = Kernel()
    p = k.pointer(f32)
    p[0] = 0.1
    p.cast(i64)[1] = -(2**40)
    p.cast(f64)[2] = 0.1
    p.cast(f16)[16] = 65504.0
    p.cast(i8)[64] = -3
    p.cast(i32)[32] = 0xFFFFFFFF
    p.cast(bf16)[99] = 1.5
    listing = disassemble(k.finish().code)
    for written in ("0.100000001, ", "-1099511627776, ", "0.1, ", "65504.0, ", "-3, ", "-1, ", "1.5, "):
        assert f", {written}Aligned" in listing


def test_instructions_that_are_not_known_are_listed_by_number() -> None:
    code = bytearray(_kernel().finish().code)
    code += (3 << 16 | 4999).to_bytes(4, "little") + bytes([1, 0, 0, 0, 2, 0, 0, 0])
    assert disassemble(bytes(code)).rstrip().endswith("Op4999 1, 2")


def test_words_of_the_other_endianness_are_read() -> None:
    code = _kernel().finish().code
    swapped = b"".join(code[at : at + 4][::-1] for at in range(0, len(code), 4))
    rows = [row for row in decode(swapped) if row.name not in ("Extension", "ExtInstImport", "EntryPoint", "Name")]
    assert rows == [r for r in decode(code) if r.name not in ("Extension", "ExtInstImport", "EntryPoint", "Name")]
    assert disassemble(swapped).startswith("; SPIR-V 1.5")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda code: b"", "0 bytes are no SPIR-V module"),
        (lambda code: code[:-1], "whole words"),
        (lambda code: b"\x7fELF" + code[4:], "a SPIR-V module begins with 0x07230203"),
        (lambda code: code[:20] + bytes(4) + code[24:], "the instruction at byte 20 has 0 words"),
        (lambda code: code[:-4] + b"\x00\x00\xff\x00", "has 255 words, of 1 that are left"),
    ],
)
def test_what_is_no_module_is_refused(damage, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        disassemble(damage(_kernel().finish().code))


@given(st.data())
def test_damaged_modules_are_listed_or_refused(data: st.DataObject) -> None:
    code = bytearray(_kernel().finish().code)
    for _ in range(data.draw(st.integers(1, 4))):
        code[data.draw(st.integers(20, len(code) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        disassemble(bytes(code))
