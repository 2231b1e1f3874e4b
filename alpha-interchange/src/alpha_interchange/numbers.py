"""The number types of foreign weight files."""

import numpy as np
import numpy.typing as npt

__all__ = ["DTYPE_SIZES", "to_f32"]

DTYPE_SIZES = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2"), 1),
}
"""Bytes of a number, by the names that safetensors use."""


def to_f32(data: bytes, dtype: str) -> npt.NDArray[np.float32] | None:
    """Returns the numbers in `data` as float32, (N,), or None if `dtype` is not F64, F32, F16 or BF16."""
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    stored = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}.get(dtype)
    if stored is None:
        return None
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, as everywhere
        return np.frombuffer(data, stored).astype(np.float32)
