"""Element types of tensors and their host representation.

bf16 has no numpy dtype, so on the host a bf16 array holds its bit patterns as uint16; `bf16_bits` and `bf16_values`
convert. f16 and bf16 are storage types: every backend keeps and casts them, a backend may also compute in them. i8 is
one of quantized weights: it is kept, cast and moved, and never computed in.
"""

from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["DType", "bf16_bits", "bf16_values"]


class DType(Enum):
    """`f64`, `f32`, `f16`, `bf16` (floating point), `i32` (token ids, indices) and `i8` (quantized weights)."""

    f64 = "f64"
    f32 = "f32"
    f16 = "f16"
    bf16 = "bf16"
    i32 = "i32"
    i8 = "i8"

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.numpy.itemsize

    @property
    def is_floating(self) -> bool:
        return self not in (DType.i32, DType.i8)

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype of the host representation (uint16 bit patterns for bf16)."""
        return _NUMPY[self]

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> "DType":
        """Returns the dtype of a host array; raises `DTypeError` for one that no tensor can hold."""
        from alpha_core.errors import DTypeError

        for dtype in (cls.f64, cls.f32, cls.f16, cls.i32, cls.i8):
            if array.dtype == dtype.numpy:
                return dtype
        raise DTypeError(
            f"no tensor holds elements of numpy dtype `{array.dtype}`",
            hint="convert to float64, float32, float16, int32 or int8 first",
        )

    def __repr__(self) -> str:
        return self.value


_NUMPY: dict[DType, np.dtype[Any]] = {
    DType.f64: np.dtype(np.float64),
    DType.f32: np.dtype(np.float32),
    DType.f16: np.dtype(np.float16),
    DType.bf16: np.dtype(np.uint16),
    DType.i32: np.dtype(np.int32),
    DType.i8: np.dtype(np.int8),
}


def bf16_bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Rounds floats to the nearest bf16 (ties to even) and returns the bit patterns; NaN stays NaN."""
    with np.errstate(over="ignore"):
        single = np.array(values, dtype=np.float32, ndmin=1)
        # What the way through f32 lost goes into its last bit (rounding to odd): then the second rounding is right too.
        inexact, too_large = single != values, np.abs(single) > np.abs(np.asarray(values))
        bits = np.where(inexact, (single.view(np.uint32) - too_large.astype(np.uint32)) | 1, single.view(np.uint32))
        rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet_nan = (bits >> np.uint32(16)) | np.uint32(0x0040)  # rounding could carry a NaN's mantissa into infinity
    return np.where(np.isnan(single), quiet_nan, rounded).astype(np.uint16).reshape(np.shape(values))


def bf16_values(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Returns the float32 values of bf16 bit patterns, exactly."""
    return np.asarray(bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
