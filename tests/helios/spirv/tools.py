"""The Khronos tools that judge modules: `spirv-val`, `spirv-dis` and `spirv-as`, from 2025.1 on.

They are found on the PATH, or where ALPHA_SPIRV_TOOLS says: a folder, or a command that ends in one, such as
`wrapper /opt/new/bin`.
"""

import functools
import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

from alpha_helios.spirv.disassemble import decode
from alpha_helios.spirv.kernel import Binary, Kernel
from alpha_helios.spirv.opcodes import CAPABILITIES

_SPIRV_1_5 = 0x00010500
_OLDEST = (2025, 1)  # the first to know SPV_NV_cooperative_matrix2


@functools.cache
def tool(name: str) -> tuple[str, ...]:
    """Returns the command that starts a tool, or skips the test."""
    *wrapper, folder = shlex.split(os.environ.get("ALPHA_SPIRV_TOOLS", "")) or [""]
    found = shutil.which(name, path=folder or None)
    if found is None:
        pytest.skip(f"needs {name} of SPIRV-Tools, on the PATH or in the folder ALPHA_SPIRV_TOOLS")
    command = (*wrapper, found)
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST:
        pytest.skip(f"needs {name} 2025.1 or newer (ALPHA_SPIRV_TOOLS names its folder); found: {said.strip()}")
    return command


def run_tool(name: str, code: bytes, *flags: str) -> str:
    """Gives a tool the bytes as a file, and returns what it prints."""
    command = tool(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "module")
        path.write_bytes(code)
        done = subprocess.run([*command, *flags, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{name}: {done.stderr or done.stdout}")
    return done.stdout


def judge(code: bytes) -> None:
    """`spirv-val` must accept a module, in the oldest version of Vulkan that takes its version of SPIR-V."""
    newer = struct.unpack_from("<I", code, 4)[0] > _SPIRV_1_5
    run_tool("spirv-val", code, "--target-env", "vulkan1.3" if newer else "vulkan1.2")


def validated(kernel: Kernel) -> Binary:
    """Finishes a kernel; `spirv-val` must accept it, and `spirv-dis` must read what we read."""
    binary = kernel.finish()
    known = validate(binary)
    listing = run_tool("spirv-dis", known, "--raw-id", "--no-header", "--no-indent")
    assert [(row.name, row.ids) for row in decode(known)] == [_read(line) for line in listing.splitlines()]
    return binary


def validate(binary: Binary) -> bytes:
    """Has `spirv-val` accept a module, and returns it as the tools know it."""
    known = with_halves(binary.code) if "shaderBFloat16Type" in binary.requirements else binary.code
    judge(known)
    return known


def _read(line: str) -> tuple[str, tuple[int, ...]]:
    """Takes a line of spirv-dis apart: name, and ids in the order of the binary."""
    line = re.sub(r'"[^"]*"', "", line)
    result, _, right = line.rpartition(" = ")
    name, *operands = right.split()
    ids = [int(word[1:]) for word in operands if re.fullmatch(r"%\d+", word)]
    if result:
        # Instructions whose result has a type say the type first.
        typed = not name.startswith(("OpType", "OpLabel", "OpExtInstImport"))
        ids.insert(1 if typed else 0, int(result[1:]))
    return name.removeprefix("Op"), tuple(ids)


def with_halves(code: bytes) -> bytes:
    """Makes bfloat16 the half-precision float of the same size: tools of 2025.1 do not know SPV_KHR_bfloat16 yet."""
    words = struct.unpack(f"<{len(code) // 4}I", code)
    changed = list(words[:5])
    unknown = {CAPABILITIES[name].number for name in ("BFloat16TypeKHR", "BFloat16CooperativeMatrixKHR")}
    half = CAPABILITIES["Float16"].number
    at = 5
    while at < len(words):
        count, number = words[at] >> 16, words[at] & 0xFFFF
        line = list(words[at : at + count])
        if number == 17 and line[1] in unknown:
            line = [2 << 16 | 17, half] if line[1] == CAPABILITIES["BFloat16TypeKHR"].number else []
        elif number == 10 and b"bfloat16" in struct.pack(f"<{count}I", *line):
            line = []
        elif number == 22 and count == 4:
            line = [3 << 16 | 22, line[1], 16]
        changed += line
        at += count
    return struct.pack(f"<{len(changed)}I", *changed)
