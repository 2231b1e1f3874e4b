"""Types of a module and the values that they have in numpy.

A value that is the same for all invocations may stand once: a scalar has the shape () or (invocations,), a vector
(lanes,) or (invocations, lanes). Integers are held without a sign. A bfloat is held as the f32 of the same value, and
lies in memory as the upper half of that (SPV_KHR_bfloat16). A cooperative matrix is (teams, rows, columns), where a
team is a subgroup or a workgroup.
"""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

__all__ = [
    "ArrayType",
    "Layout",
    "MachineError",
    "Mask",
    "Matrix",
    "Opaque",
    "Pointer",
    "Scalar",
    "Struct",
    "Type",
    "Vector",
    "View",
    "from_memory",
    "nothing",
    "scalar_of",
    "signed",
    "to_memory",
]

Values = npt.NDArray[Any]


class MachineError(Exception):
    """What a kernel does is undefined, or unknown here; the message names the instruction."""


@attrs.frozen
class Scalar:
    """A truth value, an integer, a float or a bfloat (`bool`, `int`, `float`, `bfloat`)."""

    kind: str
    bits: int

    @property
    def nbytes(self) -> int:
        return self.bits // 8

    @property
    def held(self) -> np.dtype[Any]:
        """What values are held in."""
        if self.kind == "bool":
            return np.dtype(np.bool_)
        if self.kind == "bfloat":
            return np.dtype(np.float32)
        return np.dtype(f"{'u' if self.kind == 'int' else 'f'}{self.nbytes}")

    @property
    def stored(self) -> np.dtype[Any]:
        """What they are in memory."""
        return np.dtype(np.uint16) if self.kind == "bfloat" else self.held


@attrs.frozen
class Vector:
    scalar: Scalar
    lanes: int

    @property
    def nbytes(self) -> int:
        return self.scalar.nbytes * self.lanes


@attrs.frozen
class ArrayType:
    """An array; in buffers the distance of its elements in bytes is known."""

    element: Any
    count: int | None
    stride: int


@attrs.frozen
class Struct:
    members: tuple[Any, ...]
    offsets: tuple[int, ...]


@attrs.frozen
class Pointer:
    storage: str
    pointee: Any


@attrs.frozen
class Matrix:
    """A cooperative matrix; `scope` is `subgroup` or `workgroup`."""

    component: Scalar
    rows: int
    columns: int
    use: int
    scope: str


@attrs.frozen
class Layout:
    axes: int
    clamp: int


@attrs.frozen
class View:
    axes: int
    reshaped: bool
    order: tuple[int, ...]


@attrs.frozen
class Opaque:
    """A type that has no values."""

    name: str


Type = Scalar | Vector | ArrayType | Struct | Pointer | Matrix | Layout | View | Opaque


class Mask:
    """The invocations that run an instruction."""

    __slots__ = ("all", "any", "lanes")

    def __init__(self, lanes: npt.NDArray[np.bool_]) -> None:
        self.lanes = lanes
        self.any = bool(lanes.any())
        self.all = self.any and bool(lanes.all())

    def where(self, condition: Any) -> "Mask":
        """Those of them for which a condition is true."""
        if np.ndim(condition) == 0:
            return self if condition else Mask(np.zeros_like(self.lanes))
        return Mask(self.lanes & condition)

    def __or__(self, other: "Mask") -> "Mask":
        if not other.any:
            return self
        return Mask(self.lanes | other.lanes) if self.any else other


def scalar_of(type_: Type) -> tuple[Scalar, int]:
    """Returns the scalar of a scalar or vector, and the number of lanes, 0 for a scalar."""
    if isinstance(type_, Vector):
        return type_.scalar, type_.lanes
    if not isinstance(type_, Scalar):
        raise MachineError(f"{type_} where a scalar or a vector is expected")
    return type_, 0


def from_memory(raw: Values, scalar: Scalar) -> Values:
    """Numbers as they are held, from what lies in memory."""
    if scalar.kind != "bfloat":
        return raw
    return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_memory(values: Values, scalar: Scalar) -> Values:
    """Numbers as they lie in memory."""
    if scalar.kind != "bfloat":
        return np.asarray(values, scalar.stored)
    return (np.asarray(values, np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def round_to_bfloat(values: Values) -> Values:
    """The nearest bfloats of f32 numbers, ties to even, as f32; NaN stays NaN."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    up = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    kept = np.where(np.isnan(values), bits | np.uint32(0x400000), up) & np.uint32(0xFFFF0000)
    return kept.view(np.float32)


def signed(values: Values) -> Values:
    """The same bits as integers with a sign."""
    return values.view(np.dtype(f"i{values.dtype.itemsize}"))


def nothing(scalar: Scalar, shape: Sequence[int]) -> Values:
    """What undefined memory holds: all bits set, which is NaN or -1, so that it shows where it is used."""
    if scalar.kind == "bool":
        return np.ones(shape, np.bool_)
    raw = np.full((*shape, scalar.stored.itemsize), 0xFF, np.uint8).view(scalar.stored)[..., 0]
    return from_memory(raw, scalar)
