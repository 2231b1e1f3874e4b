"""Elements of matrices that are stored in fewer bits than they are computed with."""

from typing import TYPE_CHECKING

from alpha_tensor.cpu.llvm.types import Type, f32, i8, i16, i32, vector
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

if TYPE_CHECKING:
    from alpha_tensor.cpu.kernel import Kernel

__all__ = ["STORED", "load_f32"]

STORED: dict[str, Type] = {"f32": f32, "bf16": i16, "i8": i8}
"""How kernels see elements of a dtype in memory."""


def load_f32(k: "Kernel", source: Pointer, index: Number, element: str, mask: Value | None) -> Value:
    """Loads a vector of elements of a dtype as f32, exactly."""
    lanes = k.target.lanes
    stored = source.load(index, lanes, mask)
    if element == "f32":
        return stored
    if element == "bf16":
        return k.bitcast(k.widen_unsigned(stored, i32) << 16, vector(f32, lanes))
    return k.convert(k.convert(stored, i32), f32)
