"""A listing of a SPIR-V module for people: types and constants stand where they are used, blocks are indented."""

import struct
from collections.abc import Iterator

import attrs

from alpha_helios.spirv.opcodes import DECORATIONS, ENUMERANTS, INSTRUCTIONS

__all__ = ["Decoded", "decode", "disassemble"]

_BY_NUMBER = {number: (name, operands) for name, (number, operands) in INSTRUCTIONS.items()}
_ACCESS = {0x1: "Volatile", 0x2: "Aligned", 0x4: "Nontemporal", 0x20: "NonPrivate"}
_ALIGNED = 0x2
_FLOATS = {16: ("H", "e"), 32: ("I", "f"), 64: ("Q", "d")}
_MAGIC = 0x07230203
_HEADER_WORDS = 5
_INDENT = "  "
_NO_CONTRACTION = DECORATIONS["NoContraction"]


@attrs.frozen
class Decoded:
    """One instruction. Operands are pairs of a kind (see `opcodes`) and an id, a number, or text."""

    name: str
    type: int | None
    result: int | None
    operands: tuple[tuple[str, int | str], ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids that it mentions, its result and their types included, in the order of the binary."""
        own = [word for word in (self.type, self.result) if word is not None]
        return (*own, *(int(value) for kind, value in self.operands if kind == "i"))


def decode(code: bytes) -> Iterator[Decoded]:
    """Splits a module into its instructions.

    Raises:
        ValueError: the bytes are no SPIR-V module, or end inside an instruction.
    """
    if len(code) % 4 or len(code) < 4 * _HEADER_WORDS:
        raise ValueError(f"{len(code)} bytes are no SPIR-V module, which has whole words and a header of 20 bytes")
    order = "<" if code[0] == _MAGIC & 0xFF else ">"
    words = struct.unpack(f"{order}{len(code) // 4}I", code)
    if words[0] != _MAGIC:
        raise ValueError(f"a SPIR-V module begins with {_MAGIC:#010x}, not with {words[0]:#010x}")
    at = _HEADER_WORDS
    while at < len(words):
        count, number = words[at] >> 16, words[at] & 0xFFFF
        if count == 0 or at + count > len(words):
            raise ValueError(f"the instruction at byte {4 * at} has {count} words, of {len(words) - at} that are left")
        name, layout = _BY_NUMBER.get(number, (f"Op{number}", ("n*",)))
        needed = sum(kind[-1] not in "?*" for kind in layout)
        if count <= needed:
            raise ValueError(f"{name} at byte {4 * at} has {count - 1} operands; it needs {needed}")
        yield _decode(name, layout, list(words[at + 1 : at + count]))
        at += count


def _decode(name: str, layout: tuple[str, ...], rest: list[int]) -> Decoded:
    type_ = rest.pop(0) if "t" in layout else None
    result = rest.pop(0) if "r" in layout else None
    operands: list[tuple[str, int | str]] = []
    for kind in layout:
        if kind in ("t", "r") or not rest:
            continue
        if kind == "s":
            operands.append(("s", _string(rest)))
        elif kind == "literal":
            operands.append(("literal", sum(word << 32 * place for place, word in enumerate(rest))))
            rest.clear()
        elif kind.rstrip("?") in ("access", "tensor_access"):
            _masked(operands, rest, kind.rstrip("?"))
        elif kind[-1] == "*":
            built_in = operands[-1:] == [("decoration", DECORATIONS["BuiltIn"])]
            operands += [("builtin" if built_in else kind[:-1], word) for word in rest]
            rest.clear()
        else:
            operands.append((kind.rstrip("?"), rest.pop(0)))
    return Decoded(name, type_, result, (*operands, *(("n", word) for word in rest)))


def _string(words: list[int]) -> str:
    """Takes a string off the front of the words."""
    data = b""
    while words and b"\0" not in data:
        data += struct.pack("<I", words.pop(0))
    return data.split(b"\0", 1)[0].decode(errors="replace")


def _masked(operands: list[tuple[str, int | str]], words: list[int], kind: str) -> None:
    """Takes a mask off the front of the words, and what its bits bring along."""
    mask = words.pop(0)
    operands.append((kind, mask))
    if kind == "access":
        if mask & _ALIGNED and words:
            operands.append(("n", words.pop(0)))
    else:
        operands += [("i", word) for word in words[: mask.bit_count()]]
        del words[: mask.bit_count()]


def disassemble(code: bytes) -> str:
    """Returns a listing of a module.

    Raises:
        ValueError: the bytes are no SPIR-V module.
    """
    return "\n".join(_Listing(list(decode(code)), code).lines()) + "\n"


class _Listing:
    """Prints instructions, with what their ids stand for."""

    def __init__(self, instructions: list[Decoded], code: bytes) -> None:
        self.instructions = instructions
        minor, major = code[5:7] if code[0] == _MAGIC & 0xFF else (code[6], code[5])
        self.heading = f"; SPIR-V {major}.{minor}, {len(code)} bytes, {len(instructions)} instructions"
        self.names = {int(row.operands[0][1]): str(row.operands[1][1]) for row in instructions if row.name == "Name"}
        self.rows = {row.result: row for row in instructions if row.result is not None}
        self.exact = {int(row.operands[0][1]) for row in instructions if self._is_exact(row)}
        self.meanings: dict[int, str] = {}
        for row in instructions:
            meaning = self._meaning(row)
            if row.result is not None and meaning:
                self.meanings[row.result] = meaning

    def lines(self) -> Iterator[str]:
        yield self.heading
        merges: list[int] = []
        inside = False
        for position, row in enumerate(self.instructions):
            if row.result in self.meanings or row.name == "Name" or self._is_exact(row):
                continue
            if row.name == "Function":
                yield ""
            if row.name == "Label" and merges and row.result == merges[-1]:
                merges.pop()
            depth = len(merges) + 2 if inside and row.name != "FunctionEnd" else 0
            yield _INDENT * (depth - (row.name == "Label")) + self._line(row)
            inside = row.name == "Function" or (inside and row.name != "FunctionEnd")
            before = self.instructions[position - 1]  # a block ends right after it says where its branches meet
            if before.name in ("SelectionMerge", "LoopMerge"):
                merges.append(int(before.operands[0][1]))

    def _is_exact(self, row: Decoded) -> bool:
        return row.name == "Decorate" and row.operands[1][1] == _NO_CONTRACTION

    def _line(self, row: Decoded) -> str:
        operands = ", ".join(self._operand(kind, value) for kind, value in row.operands)
        text = f"{row.name} {operands}".rstrip()
        if row.result is None:
            return text
        if row.name == "Label":
            return f"{self._id(row.result)}:"
        typed = f": {self._id(row.type)}" if row.type is not None else ""
        exact = "exact " if row.result in self.exact else ""
        return f"{self._id(row.result)}{typed} = {exact}{text}"

    def _operand(self, kind: str, value: int | str) -> str:
        if isinstance(value, str):
            return f'"{value}"'
        if kind == "i":
            return self._id(value)
        if kind == "access":
            return "|".join(name for bit, name in _ACCESS.items() if value & bit) or "None"
        if kind == "tensor_access":
            return "TensorView" if value & 1 else "None"
        return ENUMERANTS.get(kind, {}).get(value, str(value))

    def _id(self, id_: int | None) -> str:
        assert id_ is not None
        if id_ in self.meanings:
            return self.meanings[id_]
        return f"%{id_}" + (f"({self.names[id_]})" if id_ in self.names else "")

    def _meaning(self, row: Decoded) -> str:
        """How a type or a constant is spelled where it is used; nothing for other instructions."""
        values = [value for _, value in row.operands]
        spelled = [self._operand(kind, value) for kind, value in row.operands]
        match row.name:
            case "TypeVoid":
                return "void"
            case "TypeBool":
                return "i1"
            case "TypeInt":
                return f"i{values[0]}"
            case "TypeFloat":
                return f"bf{values[0]}" if len(values) > 1 else f"f{values[0]}"
            case "TypeVector":
                return f"{spelled[0]}x{values[1]}"
            case "TypeArray":
                return f"{spelled[0]}[{spelled[1]}]"
            case "TypeRuntimeArray":
                return f"{spelled[0]}[]"
            case "TypeStruct":
                return "{" + ", ".join(spelled) + "}"
            case "TypePointer":
                return f"{spelled[0]}*{spelled[1]}"
            case "TypeFunction":
                return f"({', '.join(spelled[1:])}) -> {spelled[0]}"
            case "TypeCooperativeMatrixKHR":
                use = {"0": "a", "1": "b", "2": "accumulator"}.get(spelled[4], spelled[4])
                return f"matrix<{spelled[0]} {spelled[2]} x {spelled[3]} {use}>"
            case "TypeTensorLayoutNV":
                return f"layout<{spelled[0]}>"
            case "TypeTensorViewNV":
                return f"view<{', '.join((spelled[0], *spelled[2:]))}>"
            case "ConstantTrue":
                return "true"
            case "ConstantFalse":
                return "false"
            case "Constant":
                return self._number(row.type, int(values[0]))
            case "ConstantComposite":
                return "(" + ", ".join(spelled) + ")"
            case "ExtInstImport":
                return str(values[0])
        return ""

    def _number(self, type_: int | None, bits: int) -> str:
        row = self.rows.get(type_) if type_ is not None else None
        width = int(row.operands[0][1]) if row is not None and row.name in ("TypeInt", "TypeFloat") else 0
        if row is None or bits >> width:
            return str(bits)
        if row.name == "TypeInt":
            return str(bits - (1 << width) if bits >> width - 1 & 1 else bits)
        if len(row.operands) > 1:  # bfloat: the upper half of an f32
            width, bits = 32, bits << 16
        if width not in _FLOATS:
            return str(bits)
        as_bits, as_float = _FLOATS[width]
        (number,) = struct.unpack("<" + as_float, struct.pack("<" + as_bits, bits))
        return repr(number) if width == 64 else f"{number:.9g}" + ("" if number % 1 else ".0")
