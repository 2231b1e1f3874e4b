"""The arguments of a kernel as bytes: addresses and numbers at the offsets where the kernel looks for them."""

import struct
from collections.abc import Sequence

import attrs

from alpha_core.errors import OpError

__all__ = ["ArgumentLayout"]

_FORMATS = {"address": "Q", "i64": "q", "i32": "i", "f32": "f"}
_LIMITS = {"i32": 1 << 31, "i64": 1 << 63}


@attrs.frozen
class ArgumentLayout:
    """Kinds and offsets of the arguments, in the order of the kernel's requests."""

    name: str
    """The kernel's, for errors."""
    slots: tuple[tuple[str, int], ...]
    """Of each argument its kind (`address`, `i32`, `i64`, `f32`) and its offset in bytes."""
    nbytes: int
    in_memory: bool
    """Whether the kernel is handed the address of the block rather than the block."""

    def pack(self, values: Sequence[int | float]) -> bytes:
        """Returns the block. Raises `OpError` for a number that its slot cannot hold."""
        if len(values) != len(self.slots):
            raise OpError(f"kernel `{self.name}` takes {len(self.slots)} arguments; given are {len(values)}")
        block = bytearray(self.nbytes)
        for value, (kind, offset) in zip(values, self.slots, strict=True):
            if kind == "f32":
                struct.pack_into("<f", block, offset, _as_f32(value))
                continue
            limit = _LIMITS.get(kind)
            if not isinstance(value, int) or (limit is not None and not -limit <= value < limit):
                raise OpError(f"kernel `{self.name}`: {value!r} is no {kind}")
            struct.pack_into("<" + _FORMATS[kind], block, offset, value)
        return bytes(block)


def _as_f32(value: float) -> float:
    """Returns a double that `struct` can round to f32: what is too large for it is infinite."""
    return float("inf") * (1 if value > 0 else -1) if abs(value) > 3.4028235677973366e38 else value
