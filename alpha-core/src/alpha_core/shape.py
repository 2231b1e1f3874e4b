"""Rules of what ops take, stated once for all backends. Every function raises an error that names the op.

What an op with a default takes beyond these stands beside its default in `alpha_core.ops`, as a `_check_` method.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, OpError, ShapeError
from alpha_core.random import RandomStream
from alpha_core.tensor import Shape, Tensor

__all__ = [
    "argmax_axis",
    "broadcast_axes",
    "broadcast_shapes",
    "broadcasted",
    "cat_axis",
    "cat_shape",
    "dropout_row_size",
    "gather_axis",
    "matmul_shape",
    "nonempty_axes",
    "normalize_axes",
    "normalize_axis",
    "operand_dtype",
    "plain_number",
    "reduced_shape",
    "require_dtype",
    "require_floating",
    "require_indices",
    "require_parallel",
    "require_shape",
    "reshaped",
    "slice_grad_shape",
    "slice_shape",
    "top_k_shape",
    "transposed",
]


def broadcast_shapes(op: str, *shapes: Shape) -> Shape:
    """Returns the common shape: aligned at the right, lengths equal or 1 (numpy's rule)."""
    ndim = max((len(shape) for shape in shapes), default=0)
    result = []
    for axis in range(-ndim, 0):
        lengths = {shape[axis] for shape in shapes if -axis <= len(shape)} - {1}
        if len(lengths) > 1:
            listed = " and ".join(str(list(shape)) for shape in shapes)
            raise ShapeError(f"`{op}`: shapes {listed} do not broadcast: axis {axis} has lengths {sorted(lengths)}")
        result.append(lengths.pop() if lengths else 1)
    return tuple(result)


def broadcast_axes(source: Shape, target: Shape) -> tuple[int, ...]:
    """Returns the axes of `target` along which `source` was repeated; summing over them undoes the broadcast."""
    extra = len(target) - len(source)
    stretched = (axis + extra for axis, length in enumerate(source) if length == 1 and target[axis + extra] != 1)
    return (*range(extra), *stretched)


def broadcasted(shape: Shape, wanted: Shape) -> Shape:
    """Returns `wanted`, if a tensor of `shape` can be repeated until it has this shape."""
    if len(wanted) < len(shape) or broadcast_shapes("broadcast_to", shape, wanted) != wanted:
        raise ShapeError(f"`broadcast_to`: {list(shape)} cannot become {list(wanted)}")
    return wanted


def normalize_axis(op: str, axis: int, ndim: int) -> int:
    """Returns `axis` counted from the front."""
    if not -ndim <= axis < ndim:
        raise ShapeError(f"`{op}`: axis {axis} is outside a tensor of {ndim} dimensions")
    return axis % ndim


def normalize_axes(op: str, axes: Sequence[int] | int | None, ndim: int) -> tuple[int, ...]:
    """Returns `axes` counted from the front, in ascending order; None means all of them."""
    if axes is None:
        return tuple(range(ndim))
    listed = (axes,) if isinstance(axes, int) else tuple(axes)
    normal = tuple(sorted(normalize_axis(op, axis, ndim) for axis in listed))
    if len(set(normal)) != len(normal):
        raise ShapeError(f"`{op}`: axes {list(listed)} name one axis twice")
    return normal


def nonempty_axes(op: str, shape: Shape, axes: Sequence[int] | int | None) -> tuple[int, ...]:
    """Returns `normalize_axes`; none of the axes may have length 0, of which there is no mean and no largest value."""
    normal = normalize_axes(op, axes, len(shape))
    if any(shape[axis] == 0 for axis in normal):
        raise ShapeError(f"`{op}`: {list(shape)} has no elements along axes {list(normal)}")
    return normal


def argmax_axis(shape: Shape, axis: int) -> int:
    """Returns `axis` counted from the front; it must have elements."""
    normal = normalize_axis("argmax", axis, len(shape))
    if shape[normal] == 0:
        raise ShapeError(f"`argmax`: {list(shape)} has no elements along axis {normal}")
    return normal


def top_k_shape(shape: Shape, k: int) -> Shape:
    """Returns the shape of the k largest elements along the last axis, which must have so many."""
    if not shape or not 1 <= k <= shape[-1]:
        raise ShapeError(f"`top_k`: k = {k} does not fit the last axis of {list(shape)}")
    return (*shape[:-1], k)


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """Returns the shape after reducing over normalized `axes`."""
    if keepdims:
        return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return tuple(length for axis, length in enumerate(shape) if axis not in axes)


def reshaped(shape: Shape, wanted: Shape) -> Shape:
    """Returns `wanted` with one -1 replaced by the length that keeps the number of elements."""
    size = math.prod(shape)
    if wanted.count(-1) > 1 or any(length < -1 for length in wanted):
        raise ShapeError(f"`reshape`: {list(wanted)} is no shape; at most one length may be -1")
    result = wanted
    if -1 in wanted:
        known = math.prod(length for length in wanted if length != -1)
        result = tuple((size // known if known else 0) if length == -1 else length for length in wanted)
    if math.prod(result) != size:
        raise ShapeError(f"`reshape`: {list(shape)} has {size} elements and cannot become {list(wanted)}")
    return result


def transposed(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """Returns the shape after permuting the axes: result axis i is source axis `axes[i]`."""
    if sorted(axes) != list(range(len(shape))):
        raise ShapeError(f"`transpose`: {list(axes)} is no permutation of the {len(shape)} axes of {list(shape)}")
    return tuple(shape[axis] for axis in axes)


def slice_shape(shape: Shape, axis: int, start: int, stop: int) -> Shape:
    """Returns the shape of `x[..., start:stop, ...]` along a normalized axis; the range must lie inside."""
    if not 0 <= start <= stop <= shape[axis]:
        raise ShapeError(f"`slice`: {start}:{stop} is outside axis {axis} of {list(shape)}")
    return (*shape[:axis], stop - start, *shape[axis + 1 :])


def slice_grad_shape(shape: Shape, axis: int, start: int, length: int) -> Shape:
    """Returns the shape in which a tensor of `shape` is placed at `start` of a normalized axis of this length."""
    stop = start + shape[axis]
    if not 0 <= start <= stop <= length:
        raise ShapeError(f"`slice_grad`: {start}:{stop} is outside an axis of length {length}")
    return (*shape[:axis], length, *shape[axis + 1 :])


def cat_axis(tensors: Sequence[Tensor], axis: int) -> int:
    """Returns the axis along which tensors are joined, counted from the front; they must have one dtype."""
    if not tensors:
        raise ShapeError("`cat`: no tensors given")
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) != 1:
        listed = ", ".join(sorted(dtype.value for dtype in dtypes))
        raise DTypeError(f"`cat`: tensors are {listed}; nothing is converted silently", hint="use `cast`")
    return normalize_axis("cat", axis, tensors[0].ndim)


def cat_shape(shapes: Sequence[Shape], axis: int) -> Shape:
    """Returns the shape of tensors joined along a normalized axis; all other lengths must agree."""
    first = shapes[0]
    for shape in shapes[1:]:
        if len(shape) != len(first) or any(
            one != other for i, (one, other) in enumerate(zip(first, shape, strict=True)) if i != axis
        ):
            raise ShapeError(f"`cat`: {list(first)} and {list(shape)} differ outside axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


def matmul_shape(a: Shape, b: Shape, transpose_a: bool, transpose_b: bool) -> Shape:
    """Returns the shape of `a @ b`: (..., M, K) by (..., K, N), the leading axes broadcast."""
    if len(a) < 2 or len(b) < 2:
        raise ShapeError(f"`matmul`: {list(a)} by {list(b)}: both operands need at least 2 dimensions")
    rows, inner_a = (a[-1], a[-2]) if transpose_a else (a[-2], a[-1])
    inner_b, columns = (b[-1], b[-2]) if transpose_b else (b[-2], b[-1])
    if inner_a != inner_b:
        flags = f" (transpose_a={transpose_a}, transpose_b={transpose_b})"
        raise ShapeError(f"`matmul`: {list(a)} by {list(b)}{flags}: inner lengths {inner_a} and {inner_b} differ")
    return (*broadcast_shapes("matmul", a[:-2], b[:-2]), rows, columns)


def gather_axis(x: Tensor, index: Tensor, axis: int) -> int:
    """Returns the axis along which `index` picks, counted from the front; else it must have x's shape."""
    normal = normalize_axis("gather", axis, x.ndim)
    require_dtype("gather", "index", index, DType.i32)
    if index.ndim != x.ndim:
        raise ShapeError(f"`gather`: `index` has {index.ndim} dimensions; {x.ndim} are needed")
    require_shape("gather", "index", index, (*x.shape[:normal], index.shape[normal], *x.shape[normal + 1 :]))
    return normal


def dropout_row_size(op: str, shape: Shape, rate: float, random: RandomStream) -> int:
    """Returns how many elements of a tensor of `shape` belong to each row of a stream, for dropout at this rate."""
    if not 0 <= rate < 1:
        raise OpError(f"`{op}`: rate {rate} is outside [0, 1)")
    require_dtype(op, "rows", random.rows, DType.i32)
    require_dtype(op, "step", random.step, DType.i32)
    size, rows = math.prod(shape), random.rows.size
    if rows == 0 or size % rows:
        raise ShapeError(f"`{op}`: {rows} rows do not divide shape {list(shape)}")
    return size // rows


def require_indices(op: str, indices: npt.NDArray[Any], length: int) -> None:
    """Raises `OpError` unless all indices, as the host sees them, are in 0 ... length - 1."""
    if indices.size and (indices.min() < 0 or indices.max() >= length):
        outside = indices[(indices < 0) | (indices >= length)].flat[0]
        raise OpError(f"`{op}`: index {outside} is outside 0 ... {length - 1}")


def require_shape(op: str, name: str, tensor: Tensor, shape: Shape) -> None:
    """Raises `ShapeError` unless the argument `name` has exactly this shape."""
    if tensor.shape != shape:
        raise ShapeError(f"`{op}`: `{name}` has shape {list(tensor.shape)}; {list(shape)} is needed")


def require_parallel(op: str, **lists: Sequence[Tensor]) -> None:
    """Raises `OpError` unless the lists are equally long, and `ShapeError` unless their tensors are equal in shape."""
    (_, first), *others = lists.items()
    if any(len(tensors) != len(first) for _, tensors in others):
        lengths = ", ".join(f"{len(tensors)} {name}" for name, tensors in lists.items())
        raise OpError(f"`{op}`: the lists differ in length: {lengths}")
    for name, tensors in others:
        for wanted, tensor in zip(first, tensors, strict=True):
            require_shape(op, name, tensor, wanted.shape)


def require_dtype(op: str, name: str, tensor: Tensor, *dtypes: DType) -> None:
    """Raises `DTypeError` unless the argument `name` has one of these dtypes."""
    if tensor.dtype not in dtypes:
        allowed = " or ".join(dtype.value for dtype in dtypes)
        raise DTypeError(f"`{op}`: `{name}` is {tensor.dtype.value}; {allowed} is needed", hint="use `cast`")


def require_floating(op: str, *tensors: Tensor) -> DType:
    """Returns the one floating dtype of all tensors; raises `DTypeError` when they differ or are integers."""
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) != 1:
        listed = " and ".join(sorted(dtype.value for dtype in dtypes))
        raise DTypeError(f"`{op}`: operands are {listed}; nothing is converted silently", hint="use `cast`")
    (dtype,) = dtypes
    if not dtype.is_floating:
        raise DTypeError(f"`{op}`: operands are {dtype.value}; a floating dtype is needed", hint="use `cast`")
    return dtype


def operand_dtype(op: str, *operands: "Tensor | float") -> DType:
    """Returns the one dtype of the tensors among the operands of an elementwise op; a plain number takes it on."""
    dtypes = {operand.dtype for operand in operands if isinstance(operand, Tensor)}
    if not dtypes:
        raise OpError(f"`{op}`: at least one operand must be a tensor")
    if len(dtypes) != 1:
        listed = " and ".join(sorted(dtype.value for dtype in dtypes))
        raise DTypeError(f"`{op}`: operands are {listed}; nothing is converted silently", hint="use `cast`")
    return dtypes.pop()


def plain_number(op: str, number: float, dtype: DType) -> int | float:
    """Returns an operand that is no tensor as an element of `dtype`. Raises `DTypeError` if no such tensor holds it."""
    if dtype.is_floating:
        return float(number)
    if not float(number).is_integer():
        raise DTypeError(f"`{op}`: the number {number} does not fit an {dtype.value} tensor", hint="use `cast`")
    return int(number)
