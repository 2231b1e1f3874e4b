"""A tensor of zeros but for pieces along one axis, which is put together only when somebody looks at it."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import attrs

from alpha_core.dtype import DType
from alpha_core.recording.storage import Deferred, View, view_of
from alpha_core.tensor import Shape, Tensor

__all__ = ["Piece", "Placed"]


@attrs.frozen(eq=False)
class Piece:
    """A tensor, and where it begins."""

    start: int
    tensor: Tensor

    def length(self, axis: int) -> int:
        return self.tensor.shape[axis]


Join = Callable[[Sequence[Piece], Shape, int, DType], Tensor]


@attrs.frozen(eq=False)
class Placed(Deferred):
    """The gradient of slices: the sum of several is one tensor with several pieces, and never a sum of zeros."""

    join: Join
    shape: Shape
    axis: int
    pieces: tuple[Piece, ...]
    """In ascending order; they do not overlap."""

    def merged(self, other: "Placed") -> "Placed | None":
        """Returns the sum of two, or None if they share a place, which takes an addition."""
        if other.axis != self.axis:
            return None
        pieces = sorted((*self.pieces, *other.pieces), key=lambda piece: (piece.start, piece.length(self.axis)))
        if any(piece.start + piece.length(self.axis) > after.start for piece, after in pairwise(pieces)):
            return None
        return attrs.evolve(self, pieces=tuple(pieces))

    def view(self) -> View:
        return self._neighbours() or view_of(self.join(self.pieces, self.shape, self.axis, self.pieces[0].tensor.dtype))

    def _neighbours(self) -> View | None:
        """Returns the view of which all pieces are slices already, side by side, if there is one."""
        first = view_of(self.pieces[0].tensor)
        reached = 0
        for piece in self.pieces:
            view = view_of(piece.tensor)
            place = first.offset + reached * first.strides[self.axis]
            if piece.start != reached or (view.buffer, view.strides, view.offset) != (
                first.buffer,
                first.strides,
                place,
            ):
                return None
            reached += piece.length(self.axis)
        return first if reached == self.shape[self.axis] else None
