"""The numbers in our tables are those of SPIR-V: the Khronos disassembler reads the same names."""

import struct

from tests.helios.spirv.tools import run_tool

from alpha_helios.spirv.opcodes import BUILTINS, CAPABILITIES, DECORATIONS, EXT, INSTRUCTIONS, MODES, STORAGE

_HEADER = (0x07230203, 0x00010600, 0, 10_000, 0)
_TEXT = (0x6E69616D, 0)  # "main"
_CONTEXT = ("Constant", "SpecConstant", "ExtInst", "ExtInstImport", "ExecutionMode")  # tested below and in every module


def _module(*lines: tuple[int, ...]) -> bytes:
    words = list(_HEADER)
    for number, *operands in lines:
        words += [len(operands) + 1 << 16 | number, *operands]
    return struct.pack(f"<{len(words)}I", *words)


def _names(*lines: tuple[int, ...]) -> list[str]:
    return run_tool("spirv-dis", _module(*lines), "--raw-id", "--no-header", "--no-indent").splitlines()


def test_every_instruction_has_its_number_and_operands() -> None:
    named = {name: row for name, row in INSTRUCTIONS.items() if name not in _CONTEXT}
    lines = [(number, *_sample(kinds, 10 * place)) for place, (number, kinds) in enumerate(named.values(), 10)]
    listed = [line.rpartition(" = ")[2].split()[0] for line in _names(*lines)]
    assert listed == [f"Op{name}" for name in named]


def _sample(kinds: tuple[str, ...], first: int) -> list[int]:
    """Operands for an instruction, ids from `first` on."""
    samples = {
        "capability": 1,
        "storage": 7,
        "decoration": 2,
        "execution_model": 5,
        "addressing": 5348,
        "n": 32,
        "tensor_access": 0,
    }
    operands: list[int] = []
    for place, kind in enumerate(kinds):
        if kind == "s":
            operands += _TEXT
        elif kind in ("t", "r", "i"):
            operands.append(first + place)
        elif kind[-1] not in "?*":
            operands.append(samples.get(kind, 1))
    return operands


def test_every_capability_has_its_number() -> None:
    known = {name: row for name, row in CAPABILITIES.items() if not name.startswith("BFloat16")}  # newer than the tools
    assert _names(*((17, row.number) for row in known.values())) == [f"OpCapability {name}" for name in known]


def test_every_storage_class_and_built_in_has_its_number() -> None:
    listed = _names(*((59, 1, 100 + number, number) for number in STORAGE.values()))
    assert [line.split()[-1] for line in listed] == list(STORAGE)
    listed = _names(*((71, 1, DECORATIONS["BuiltIn"], number) for number in BUILTINS.values()))
    assert [line.split()[-1] for line in listed] == list(BUILTINS)


def test_every_decoration_and_mode_has_its_number() -> None:
    extra = {"SpecId": (1,), "ArrayStride": (4,), "BuiltIn": (28,), "Offset": (0,)}
    listed = _names(*((71, 1, number, *extra.get(name, ())) for name, number in DECORATIONS.items()))
    assert [line.split()[2] for line in listed] == list(DECORATIONS)
    operands = {"LocalSize": (1, 1, 1)}
    listed = _names(*((16, 1, number, *operands.get(name, (32,))) for name, number in MODES.items()))
    assert [line.split()[2] for line in listed] == list(MODES)


def test_every_extended_instruction_has_its_number() -> None:
    text = struct.unpack("<4I", b"GLSL.std.450\0\0\0\0")
    arities = {"Fma": 3, "Pow": 2, "Ldexp": 2, "UMin": 2, "SMin": 2, "UMax": 2, "SMax": 2, "NMin": 2, "NMax": 2}
    calls = ((12, 2, 100 + number, 1, number, *range(3, 3 + arities.get(name, 1))) for name, number in EXT.items())
    listed = _names((11, 1, *text), (22, 2, 32), *calls)
    assert [line.split()[5] for line in listed[2:]] == list(EXT)
