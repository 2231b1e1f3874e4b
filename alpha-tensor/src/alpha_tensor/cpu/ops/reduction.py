"""Reductions: one group of neighbouring axes after the other, long ones in blocks of fixed length."""

import math
from collections.abc import Sequence

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, OpError, ShapeError
from alpha_core.ops.reduction import Axes
from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.layout import reshape_strides
from alpha_core.recording.storage import View, row_major, view_of
from alpha_core.shape import normalize_axes, reduced_shape, require_floating
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.reduce import SQUARES_BLOCK, reduce_columns, reduce_rows, squares, total
from alpha_tensor.cpu.ops.movement import MovementKernels

__all__ = ["ReductionKernels"]

_ROW_BLOCK = 32768
"""Elements of a row that one thread reduces by itself; only rows twice as long are divided."""
_COLUMN_BLOCK = 512
_MOST_TENSORS = 16  # whose squares one kernel adds up


class ReductionKernels(MovementKernels):
    def sum(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        self._require_computed("sum", x)
        return self._reduced("sum", x, normalize_axes("sum", axes, x.ndim), keepdims)

    def mean(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        self._require_computed("mean", x)
        normal = normalize_axes("mean", axes, x.ndim)
        count = math.prod(x.shape[axis] for axis in normal)
        if count == 0:
            raise ShapeError(f"`mean`: {list(x.shape)} has no elements along the axes {axes}")
        return self._reduced("sum", x, normal, keepdims, 1.0 / count)

    def max(self, x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
        self._require_computed("max", x)
        normal = normalize_axes("max", axes, x.ndim)
        if any(x.shape[axis] == 0 for axis in normal):
            raise ShapeError(f"`max`: {list(x.shape)} has no elements along axes {list(normal)}")
        return self._reduced("max", x, normal, keepdims)

    def all_finite(self, x: Tensor) -> Tensor:
        self._require_computed("all_finite", x)
        if x.size == 0:
            return self.full((), 1.0, x.dtype)
        return self._reduced("finite", x, tuple(range(x.ndim)), False)

    def sum_of_squares(self, x: Tensor) -> Tensor:
        self._require_computed("sum_of_squares", x)
        return self._squares([x], root=False)

    def global_norm(self, tensors: Sequence[Tensor]) -> Tensor:
        if not tensors:
            raise OpError("`global_norm`: no tensors given")
        self._require_computed("global_norm", *tensors)
        return self._squares(tensors, root=True)

    def clip_coefficient(self, norm: Tensor, limit: float) -> Tensor:
        return self._computed("clip_coefficient", [norm, limit], integers=False)

    def _require_computed(self, op: str, *tensors: Tensor) -> None:
        dtype = require_floating(op, *tensors)
        if dtype not in self.compute_dtypes:
            raise DTypeError(f"`{op}`: `{self.name}` stores {dtype.value} but computes in f32", hint="use `cast`")

    def _reduced(self, op: str, x: Tensor, axes: tuple[int, ...], keepdims: bool, scale: float = 1.0) -> Tensor:
        shape = reduced_shape(x.shape, axes, keepdims)
        if x.size == 0 or math.prod(shape) == 0:
            return self.full(shape, 0.0, x.dtype)
        groups = _groups(x.shape, axes)
        if not any(is_reduced for _, is_reduced in groups):
            groups.append((1, True))
        while any(is_reduced for _, is_reduced in groups):
            last = max(index for index, (_, is_reduced) in enumerate(groups) if is_reduced)
            before, length, after = (
                math.prod(length for length, _ in some)
                for some in (groups[:last], groups[last : last + 1], groups[last + 1 :])
            )
            groups.pop(last)
            is_final = not any(is_reduced for _, is_reduced in groups)
            x = self._reduced_axis(op, x, (before, length, after), scale if is_final else 1.0)
            op = "min" if op == "finite" else op
        return Tensor(shape, x.dtype, View(view_of(x).buffer, row_major(shape)))

    def _reduced_axis(self, op: str, x: Tensor, shape: tuple[int, int, int], scale: float) -> Tensor:
        """Reduces the middle one of three axes; the result has the other two, contiguous."""
        before, length, after = shape
        limit = _ROW_BLOCK if after == 1 else _COLUMN_BLOCK
        blocks = -(-length // limit) if length > 2 * limit else 1
        view, strides = view_of(x), reshape_strides(x.shape, view_of(x).strides, shape)
        if strides is None or strides[2 if after > 1 else 1] not in ((1,) if max(after, length) > 1 else (0, 1)):
            view, strides = view_of(self._copied(x)), row_major(shape)
        source = Tensor(shape, x.dtype, View(view.buffer, strides, view.offset))
        out = self.empty((before, blocks, after), x.dtype)
        kernel = reduce_rows if after == 1 else reduce_columns
        sizes = (before, length) if after == 1 else (before, length, after)
        steps = (strides[0],) if after == 1 else strides[:2]
        whole = blocks == 1
        values = (*sizes, *steps, blocks, length if whole else limit, float(scale if whole else 1.0))
        flops = float(source.size)

        def into(destination: Tensor) -> Launch | None:
            spec = KernelSpec.of(kernel, op=op, accumulate=True)
            return Launch(spec, (), (destination,), (source,), values, flops, accumulates=True)

        self.launch(
            KernelSpec.of(kernel, op=op, accumulate=False),
            writes=[out],
            reads=[source],
            values=values,
            flops=flops,
            into=into if whole and op == "sum" else None,
        )
        return (
            out if whole else self._reduced_axis("min" if op == "finite" else op, out, (before, blocks, after), scale)
        )

    def _squares(self, tensors: Sequence[Tensor], root: bool) -> Tensor:
        """Adds up squares in f64, so that neither many tensors nor large numbers lose or overflow."""
        given = [self.contiguous(tensor) for tensor in tensors if tensor.size]
        sums = [-(-tensor.size // SQUARES_BLOCK) for tensor in given]
        partial = self.empty((sum(sums),), DType.f64)
        for first in range(0, len(given), _MOST_TENSORS):
            some = given[first : first + _MOST_TENSORS]
            count = 1 if len(some) == 1 else _MOST_TENSORS
            padding = count - len(some)
            self.launch(
                KernelSpec.of(squares, count=count),
                writes=[partial] if first == 0 else [],
                updates=[partial] if first else [],
                reads=[*some, *some[:1] * padding],
                values=[sum(sums[:first]), *(tensor.size for tensor in some), *(0,) * padding],
                flops=2.0 * sum(tensor.size for tensor in some),
            )
        out = self.empty((), DType.f32)
        self.launch(KernelSpec.of(total, root=root), writes=[out], reads=[partial], values=[partial.size])
        return out


def _groups(shape: Sequence[int], axes: Sequence[int]) -> list[tuple[int, bool]]:
    """Returns the lengths of runs of axes that are all reduced, or all kept; axes of length 1 are in none."""
    groups: list[tuple[int, bool]] = []
    for axis, length in enumerate(shape):
        is_reduced = axis in axes
        if length == 1:
            continue
        if groups and groups[-1][1] == is_reduced:
            groups[-1] = (groups[-1][0] * length, is_reduced)
        else:
            groups.append((length, is_reduced))
    return groups
