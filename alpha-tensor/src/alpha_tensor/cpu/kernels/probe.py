"""What the arithmetic units can do at most: products and additions on registers, without a look at memory."""

from typing import TYPE_CHECKING

from alpha_tensor.cpu.llvm.types import bf16, f32, i8, vector
from alpha_tensor.cpu.llvm.value import Value

if TYPE_CHECKING:
    from alpha_tensor.cpu.kernel import Kernel

__all__ = ["flops_of_round", "probe"]

_CHAINS = 12
"""Independent sums: enough to hide the latency of an instruction (4 or 5 cycles) behind two units, few enough for 16
registers."""


def flops_of_round(lanes: int, unit: str) -> int:
    """Returns the operations of one round of `probe`."""
    if unit == "tile":
        return 4 * 2 * 16 * 16 * 32
    return _CHAINS * 2 * lanes * (2 if unit == "dot" else 1)


def probe(k: "Kernel", unit: str) -> None:
    """Every part runs all `rounds`. `unit`: `fma` (f32), `dot` (pairs of bf16) or `tile` (bf16). out (parts, lanes)."""
    out, rounds = k.pointer(f32), k.integer()
    lanes = k.target.lanes
    if unit == "tile":
        _tiles(k, rounds)
        out.store(k.part * lanes, k.constant(vector(f32, lanes), 0))
        return
    sums = [k.variable(k.constant(vector(f32, lanes), chain)) for chain in range(_CHAINS)]
    # Read from memory, so that nothing is known about it beforehand.
    factor = out.load(k.part * lanes, lanes)
    if unit == "dot":
        pairs = k.bitcast(factor, vector(bf16, 2 * lanes))
    with k.range_(0, rounds):
        for one in sums:
            if unit == "dot":
                name = f"llvm.x86.avx512bf16.dpbf16ps.{k.target.vector_bits}"
                one.value = k.intrinsic(name, factor.type, one.value, pairs, pairs)
            else:
                one.value = k.fma(factor, factor, one.value)
    total = sums[0].value
    for one in sums[1:]:
        total = total + one.value
    out.store(k.part * lanes, total)


def _tiles(k: "Kernel", rounds: Value) -> None:
    """Four sums of 16x16, from two tiles on either side."""
    configuration = k.stack(i8, 64)
    with k.range_(0, 64) as place:
        configuration[place] = 0
    configuration[0] = 1
    for tile in range(8):
        configuration[16 + 2 * tile] = 64  # bytes in a row
        configuration[48 + tile] = 16  # rows
    k.intrinsic("llvm.x86.ldtilecfg", None, configuration.address)
    for tile in range(8):
        k.immediate("llvm.x86.tilezero", tile)
    with k.range_(0, rounds):
        for target in range(4):
            k.immediate("llvm.x86.tdpbf16ps", target, 4 + target // 2, 6 + target % 2)
    k.intrinsic("llvm.x86.tilerelease", None)
