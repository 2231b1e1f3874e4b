"""Shape and dtype rules of the ops, stated once for all backends. Every function raises an error that names the op."""

import math
from collections.abc import Sequence

from alpha_core.dtype import DType
from alpha_core.errors import DTypeError, OpError, ShapeError
from alpha_core.tensor import Shape, Tensor

__all__ = [
    "broadcast_axes",
    "broadcast_shapes",
    "cat_shape",
    "matmul_shape",
    "normalize_axes",
    "normalize_axis",
    "operand_dtype",
    "reduced_shape",
    "require_dtype",
    "require_floating",
    "require_parallel",
    "require_shape",
    "reshaped",
    "slice_shape",
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
