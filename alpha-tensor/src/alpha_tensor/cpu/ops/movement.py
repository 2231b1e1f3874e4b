"""Copying and joining."""

from collections.abc import Sequence

from alpha_core.recording.creation import moved_as
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.layout import collapse
from alpha_core.recording.storage import row_major, view_of
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.copy import join, transpose
from alpha_tensor.cpu.ops.elementwise import ElementwiseKernels

__all__ = ["MovementKernels"]


class MovementKernels(ElementwiseKernels):
    def _join_parts(self, out: Tensor, rows: int, parts: Sequence[tuple[int, Tensor | None]]) -> None:
        matrices = [None if tensor is None else self._matrix(tensor, rows, width) for width, tensor in parts]
        given = [matrix for matrix in matrices if matrix is not None]
        self.launch(
            KernelSpec.of(join, type_=moved_as(out.dtype), pieces="".join("0" if m is None else "x" for m in matrices)),
            writes=[out],
            reads=given,
            values=[rows, *(width for width, _ in parts), *(view_of(matrix).strides[0] for matrix in given)],
        )

    def _copy_into(self, out: Tensor, x: Tensor) -> None:
        """Copies x, of any strides, to a contiguous tensor of its shape."""
        if out.size == 0:
            return
        lengths, (down, across) = collapse(out.shape, [row_major(out.shape), view_of(x).strides])
        columns = across.index(1) if 1 in across else -1
        if x.dtype.itemsize != 4 or columns < 0 or across[-1] in (0, 1):
            self._fill("copy", out, [x])
            return
        others = [axis for axis in range(len(lengths) - 1) if axis != columns]
        walks = [[values[axis] for axis in others] for values in (lengths, down, across)]
        turned = (lengths[columns], down[columns], lengths[-1], across[-1])
        self.launch(
            KernelSpec.of(transpose, outer=len(others)),
            writes=[out],
            reads=[x],
            values=[*walks[0], *walks[1], *walks[2], *turned],
        )
