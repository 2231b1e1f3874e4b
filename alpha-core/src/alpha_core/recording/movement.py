"""Ops that move elements. In a recorded step they are views where strides can say it; see `recording.aliases`."""

import math
from abc import abstractmethod
from collections.abc import Sequence

import attrs

from alpha_core.dtype import DType
from alpha_core.ops.elementwise import Operand
from alpha_core.recording.elementwise import ElementwiseLaunches
from alpha_core.recording.layout import broadcast_strides, reshape_strides
from alpha_core.recording.placed import Piece, Placed
from alpha_core.recording.storage import row_major, view_of
from alpha_core.shape import (
    broadcasted,
    cat_axis,
    cat_shape,
    normalize_axis,
    reshaped,
    slice_grad_shape,
    slice_shape,
    transposed,
)
from alpha_core.tensor import Shape, Tensor

__all__ = ["MOST_PIECES", "MovementLaunches"]

MOST_PIECES = 16  # that one kernel joins


class MovementLaunches(ElementwiseLaunches):
    """A backend says how to copy and how to join."""

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        wanted = reshaped(x.shape, tuple(shape))
        view = view_of(x)
        strides = reshape_strides(x.shape, view.strides, wanted)
        if strides is not None:
            return self._seen(x, wanted, strides, view.offset)
        copied = view_of(self._copied(x))
        return Tensor(wanted, x.dtype, attrs.evolve(copied, strides=row_major(wanted)))

    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        shape, view = transposed(x.shape, tuple(axes)), view_of(x)
        return self._seen(x, shape, tuple(view.strides[axis] for axis in axes), view.offset)

    def broadcast_to(self, x: Tensor, shape: Shape) -> Tensor:
        target, view = broadcasted(x.shape, tuple(shape)), view_of(x)
        return self._seen(x, target, broadcast_strides(x.shape, view.strides, target), view.offset)

    def slice(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        axis, view = normalize_axis("slice", axis, x.ndim), view_of(x)
        shape = slice_shape(x.shape, axis, start, stop)
        return self._seen(x, shape, view.strides, view.offset + start * view.strides[axis])

    def slice_grad(self, grad: Tensor, axis: int, start: int, length: int) -> Tensor:
        """In a recorded step nothing moves before somebody looks: gradients of slices that meet are joined at once."""
        axis = normalize_axis("slice_grad", axis, grad.ndim)
        shape = slice_grad_shape(grad.shape, axis, start, length)
        if self.recorder is None:
            return self._join([Piece(start, grad)], shape, axis, grad.dtype)
        return self._placed(Placed(self._join, shape, axis, (Piece(start, grad),)), grad.dtype)

    def add(self, a: Operand, b: Operand) -> Tensor:
        both = _merged(a, b)
        return super().add(a, b) if both is None or not isinstance(a, Tensor) else self._placed(both, a.dtype)

    def cat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        axis = cat_axis(tensors, axis)
        shape = cat_shape([tensor.shape for tensor in tensors], axis)
        pieces, start = [], 0
        for tensor in tensors:
            pieces.append(Piece(start, tensor))
            start += tensor.shape[axis]
        return self._join(pieces, shape, axis, tensors[0].dtype)

    def _seen(self, x: Tensor, shape: Shape, strides: tuple[int, ...], offset: int) -> Tensor:
        """Returns another view of x, or a copy of it where other tensors may be written at any time."""
        seen = Tensor(shape, x.dtype, attrs.evolve(view_of(x), strides=strides, offset=offset))
        if self.recorder is None:
            return self._copied(seen)
        self.recorder.aliases.add(x, seen)
        return seen

    def _placed(self, placed: Placed, dtype: DType) -> Tensor:
        out = Tensor(placed.shape, dtype, placed)
        for piece in placed.pieces:
            self.recorder.aliases.add(piece.tensor, out)
        return out

    def _join(self, pieces: Sequence[Piece], shape: Shape, axis: int, dtype: DType) -> Tensor:
        """Returns a tensor of this shape that has the pieces along an axis, in ascending order, and zeros elsewhere."""
        out = self.result(shape, dtype, [piece.tensor for piece in pieces])
        if out.size == 0:
            return out
        rows, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        parts: list[tuple[int, Tensor | None]] = []  # width and contents
        reached = 0
        for piece in pieces:
            parts += [((piece.start - reached) * inner, None)] if piece.start > reached else []
            parts += [(piece.length(axis) * inner, piece.tensor)] if piece.length(axis) else []
            reached = piece.start + piece.length(axis)
        parts += [((shape[axis] - reached) * inner, None)] if reached < shape[axis] else []
        if len(parts) > MOST_PIECES:
            half = pieces[len(pieces) // 2].start
            low = [piece for piece in pieces if piece.start < half]
            high = [Piece(piece.start - half, piece.tensor) for piece in pieces if piece.start >= half]
            sides = [
                self._join(some, (*shape[:axis], length, *shape[axis + 1 :]), axis, dtype)
                for some, length in ((low, half), (high, shape[axis] - half))
            ]
            return self._join([Piece(0, sides[0]), Piece(half, sides[1])], shape, axis, dtype)
        self._join_parts(out, rows, parts)
        return out

    @abstractmethod
    def _join_parts(self, out: Tensor, rows: int, parts: Sequence[tuple[int, Tensor | None]]) -> None:
        """Fills each row of `out`, seen as a matrix of `rows`, with parts side by side: their width, and contents of
        so many elements a row (None for zeros). There are at most `MOST_PIECES`."""

    def _matrix(self, x: Tensor, rows: int, width: int) -> Tensor:
        """Returns x as a matrix whose rows are contiguous."""
        view = view_of(x)
        strides = reshape_strides(x.shape, view.strides, (rows, width))
        if strides is None or (width > 1 and strides[1] != 1):
            view = view_of(self._copied(x))
            strides = (width, 1)
        return Tensor((rows, width), x.dtype, attrs.evolve(view, strides=strides))

    def _copied(self, x: Tensor) -> Tensor:
        out = self.result(x.shape, x.dtype, [x])
        self._copy_into(out, x)
        return out

    @abstractmethod
    def _copy_into(self, out: Tensor, x: Tensor) -> None:
        """Copies x, of any strides, to a contiguous tensor of its shape."""


def _merged(a: Operand, b: Operand) -> Placed | None:
    """Returns the sum of two gradients of slices if they do not overlap."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and a.dtype is b.dtype):
        return None
    return a.storage.merged(b.storage) if isinstance(a.storage, Placed) and isinstance(b.storage, Placed) else None
