"""Copying and joining."""

import math
from collections.abc import Sequence

from alpha_core.dtype import DType
from alpha_core.recording.creation import moved_as
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.layout import collapse
from alpha_core.recording.storage import row_major, stored_dtype, view_of
from alpha_core.tensor import Tensor
from alpha_helios.grid import grid
from alpha_helios.kernels.copy import TILE, join, transpose
from alpha_helios.ops.elementwise import ElementwiseKernels
from alpha_helios.ops.extent import WORKGROUP, covering, is_wide

__all__ = ["MovementKernels", "element_types"]

_TURNED = (TILE, 4, 1)
_LEAST_TO_TURN = 8  # rows and columns; with fewer, most of a tile would be empty


class MovementKernels(ElementwiseKernels):
    def _join_parts(self, out: Tensor, rows: int, parts: Sequence[tuple[int, Tensor | None]]) -> None:
        matrices = [None if tensor is None else self._matrix(tensor, rows, width) for width, tensor in parts]
        given = [matrix for matrix in matrices if matrix is not None]
        widths = [width for width, _ in parts]
        strides = [view_of(matrix).strides[0] for matrix in given]
        lanes = math.gcd(4, *widths, *strides, *(view_of(matrix).offset for matrix in given))
        self.launch(
            KernelSpec.of(
                join,
                types=element_types([out, *matrices]),
                lanes=lanes,
                wide=is_wide(out, *given),
                workgroup=WORKGROUP,
            ),
            writes=[out],
            reads=given,
            values=[out.size, sum(widths), *widths, *strides],
            groups=covering(out.size, lanes),
        )

    def _copy_into(self, out: Tensor, x: Tensor) -> None:
        """Copies x, of any strides, to a contiguous tensor of its shape."""
        if out.size == 0:
            return
        lengths, (down, across) = collapse(out.shape, [row_major(out.shape), view_of(x).strides])
        columns = across.index(1) if 1 in across else -1
        if columns < 0 or across[-1] in (0, 1) or min(lengths[columns], lengths[-1]) < _LEAST_TO_TURN:
            self._fill("copy", out, [x])
            return
        others = [axis for axis in range(len(lengths) - 1) if axis != columns]
        tiles = math.prod(lengths[axis] for axis in others)
        for length in (lengths[columns], lengths[-1]):
            tiles *= -(-length // TILE)
        self.launch(
            KernelSpec.of(transpose, types=element_types([out, x]), outer=len(others), workgroup=_TURNED),
            writes=[out],
            reads=[x],
            values=[
                *(tiles, lengths[-1], lengths[columns], down[columns], across[-1]),
                *(lengths[axis] for axis in others[1:]),
                *(steps[axis] for steps in (down, across) for axis in others),
            ],
            groups=grid(tiles),
        )


def element_types(tensors: Sequence[Tensor | None]) -> tuple[str, ...]:
    """Returns what kernels take elements for: numbers only where they are stored in different ways."""
    stored = [None if tensor is None else stored_dtype(tensor) for tensor in tensors]
    known: set[DType] = {dtype for dtype in stored if dtype is not None}
    return tuple("" if dtype is None else moved_as(dtype) if len(known) == 1 else dtype.value for dtype in stored)
