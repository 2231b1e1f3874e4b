"""The tensor handle: a shape, a dtype and storage that only its backend understands."""

from typing import Any

from alpha_core.dtype import DType

__all__ = ["Shape", "Tensor"]

Shape = tuple[int, ...]


class Tensor:
    """A handle to a row-major array that lives on a backend.

    Handles are compared and hashed by identity: two handles with equal contents are different tensors. Nothing outside
    the backend that made a tensor reads `storage`.
    """

    __slots__ = ("__weakref__", "dtype", "shape", "storage")

    def __init__(self, shape: Shape, dtype: DType, storage: Any) -> None:
        self.shape = shape
        self.dtype = dtype
        self.storage = storage

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"Tensor({self.dtype.value}{list(self.shape)})"
