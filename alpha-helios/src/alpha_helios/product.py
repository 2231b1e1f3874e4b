"""Plans of matrix products: what is multiplied, what is done with the result, and the launches of that."""

import math
from collections.abc import Callable
from typing import Any

import attrs

from alpha_core.dtype import DType
from alpha_core.expression import Expression
from alpha_core.recording.launch import Following, KernelSpec, Launch
from alpha_core.recording.layout import broadcast_strides, collapse
from alpha_core.recording.storage import is_contiguous, stored_dtype, view_of
from alpha_core.tensor import Shape, Tensor
from alpha_helios.kernels.finish import Finish
from alpha_helios.kernels.tile import Side

__all__ = [
    "MOST_BATCH_AXES",
    "Epilogue",
    "Matrix",
    "Problem",
    "Task",
    "batch_axes",
    "finished",
    "is_readable",
    "product_launch",
]

Empty = Callable[[Shape, DType], Tensor]

MOST_BATCH_AXES = 2
"""That kernels step through; see `batch_axes`."""


@attrs.frozen
class Epilogue:
    """What is done to a product before it is stored, with the roundings of the ops one by one.

    With an expression `out` = product and `activated` = expression(product + bias); else `out` = residual + (product +
    bias). Whatever is None is left out.
    """

    product: str = "f32"
    """What the product would be stored as by itself."""
    scale: Tensor | None = None
    """(N,); of the product itself."""
    bias: Tensor | None = None
    """(N,)."""
    biased: str = "f32"
    """What product + bias would be stored as by itself."""
    expression: Expression | None = None
    coefficients: tuple[Tensor, ...] = ()
    """One (N,) for each of `expression.coefficients()`."""
    activated: Tensor | None = None
    """Of the shape of the product; written if there is an expression."""
    residual: Tensor | None = None
    """Of the shape of the product, contiguous."""

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """In the order in which kernels take them."""
        combined = (self.scale, self.bias, *self.coefficients, self.residual)
        return tuple(tensor for tensor in combined if tensor is not None)

    def followed_by(self, following: Following) -> "Epilogue | None":
        """Returns what does the same and what follows it; None if that cannot be said."""
        addend, stored = following.addend, stored_dtype(following.source).value
        further = (addend, *following.coefficients)
        if self.expression is not None or self.residual is not None:
            return None
        if not all(one is None or is_contiguous(one) for one in further):
            return None
        is_bias = addend is not None and addend.size == following.source.shape[-1]
        if following.expression is not None:
            if self.bias is not None or (addend is not None and not is_bias):
                return None
            return attrs.evolve(
                self,
                bias=addend,
                expression=following.expression,
                coefficients=following.coefficients,
                activated=following.out,
            )
        if is_bias and addend is not None and addend.size < following.source.size:
            return None if self.bias is not None else attrs.evolve(self, bias=addend)
        if addend is None or addend.size != following.source.size:
            return None
        return attrs.evolve(self, residual=addend, biased=stored)


@attrs.frozen
class Matrix:
    """One side of a batch of products: `lines` rows of the left or columns of the right operand, by `inner`."""

    tensor: Tensor
    lines: int
    inner: int
    line_stride: int
    inner_stride: int
    batch_strides: tuple[int, int]

    @property
    def along(self) -> str:
        """The direction without gaps."""
        if self.inner == 1:
            return "lines" if self.line_stride == 1 or self.lines == 1 else "inner"
        return "inner" if self.inner_stride == 1 else "lines"

    @property
    def stride(self) -> int:
        """The stride of the other direction."""
        return self.line_stride if self.along == "inner" else self.inner_stride

    def aligned(self, lanes: int) -> bool:
        """Whether groups of `lanes` neighbours lie at multiples of their size, and none crosses an edge."""
        length, other = (self.inner, self.lines) if self.along == "inner" else (self.lines, self.inner)
        strides = (*self.batch_strides, self.stride if other > 1 else 0, view_of(self.tensor).offset)
        return length % lanes == 0 and all(stride % lanes == 0 for stride in strides)

    def side(self, rounded: str) -> Side:
        """Says to kernels how the operand lies in memory, and what it is `rounded` to; i8 is exact in everything."""
        stored = stored_dtype(self.tensor).value
        kept = stored == "i8" or rounded == "f32"
        return Side(stored, self.along, 4 if self.aligned(4) else 1, stored if kept else rounded)


@attrs.frozen
class Problem:
    """A batch of products with one out of all leading axes that can be walked as rows."""

    a: Matrix
    b: Matrix
    batch: tuple[int, int]

    @classmethod
    def of(cls, a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, shape: Shape) -> "Problem":
        """Takes operands that pass `is_readable` and have at most `MOST_BATCH_AXES`; `shape` is that of the product."""
        lengths, a_steps, b_steps, rows, a_row = _merged(a, b, transpose_a, transpose_b, shape)
        if len(lengths) > MOST_BATCH_AXES:
            raise ValueError(f"{len(lengths)} batch axes; there may be {MOST_BATCH_AXES}")
        missing = MOST_BATCH_AXES - len(lengths)
        outer, inner = (1,) * missing + lengths
        a_outer, a_inner = (0,) * missing + a_steps
        b_outer, b_inner = (0,) * missing + b_steps
        length = a.shape[-2 if transpose_a else -1]
        _, a_step = _directions(a, not transpose_a)
        b_column, b_step = _directions(b, transpose_b)
        return cls(
            Matrix(a, rows, length, a_row, a_step, (a_outer, a_inner)),
            Matrix(b, shape[-1], length, b_column, b_step, (b_outer, b_inner)),
            (outer, inner),
        )

    @property
    def rows(self) -> int:
        return self.a.lines

    @property
    def columns(self) -> int:
        return self.b.lines

    @property
    def length(self) -> int:
        """Terms of each sum."""
        return self.a.inner

    @property
    def count(self) -> int:
        return math.prod(self.batch)

    @property
    def flops(self) -> float:
        return 2.0 * self.count * self.rows * self.columns * self.length

    @property
    def swapped(self) -> "Problem":
        """The product of the transposed operands in the other order, whose result is the transposed one."""
        return attrs.evolve(self, a=self.b, b=self.a)


@attrs.frozen
class Task:
    """A product that is to be launched. With `add` it is added to `out`: there is no epilogue then but roundings."""

    problem: Problem
    out: Tensor
    """Contiguous."""
    empty: Empty
    """Makes scratch tensors."""
    rounded: str = "f32"
    """What operands are rounded to."""
    add: bool = False
    epilogue: Epilogue = Epilogue()

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.problem.a.side(self.rounded), self.problem.b.side(self.rounded)

    @property
    def finish(self) -> Finish:
        """What kernels do with sums."""
        epilogue = self.epilogue
        return Finish(
            out=_stored(self.out) or "f32",
            add=self.add,
            product=epilogue.product,
            scale=_stored(epilogue.scale),
            bias=_stored(epilogue.bias),
            biased=epilogue.biased,
            residual=_stored(epilogue.residual),
            expression=epilogue.expression,
            coefficients=tuple(stored_dtype(one).value for one in epilogue.coefficients),
            activated=_stored(epilogue.activated),
        )

    @property
    def lanes(self) -> int:
        """How many neighbours of the result are finished at once."""
        written = (self.out, self.epilogue.activated, *self.epilogue.reads)
        offsets = (view_of(tensor).offset for tensor in written if tensor is not None)
        return 4 if self.problem.columns % 4 == 0 and all(offset % 4 == 0 for offset in offsets) else 1

    @property
    def key(self) -> str:
        """Tells tasks apart for which different kernels may be best."""
        problem = self.problem
        sizes = f"{problem.count}x{problem.rows}x{problem.columns}x{problem.length}"
        sides = " ".join(f"{side.along} {side.stored} {side.lanes}" for side in self.sides)
        return f"matmul {sizes} {sides} as {self.rounded}"


def finished(task: Task, make: Callable[[Task], Launch]) -> Launch:
    """Returns the launch that `make` gives, able to do at once what is done to its result later.

    `make` is asked again for a task that differs in what is done with the sums.
    """
    launch = make(task)
    if task.add:
        return attrs.evolve(launch, accumulates=True)

    def into(destination: Tensor) -> Launch:
        return finished(attrs.evolve(task, out=destination, add=True), make)

    def extended(following: Following) -> Launch | None:
        longer = task.epilogue.followed_by(following)
        if longer is None or task.problem.columns != following.source.shape[-1]:
            return None
        out = following.out if following.expression is None else task.out
        return finished(attrs.evolve(task, out=out, epilogue=longer), make)

    plain = task.epilogue == Epilogue(task.epilogue.product, task.epilogue.scale)
    return attrs.evolve(launch, into=into if plain else None, extended=extended)


def product_launch(
    task: Task, spec: KernelSpec, reads: tuple[Tensor, ...], values: tuple[int | float, ...], **more: Any
) -> Launch:
    """Returns the launch of a kernel that does all of a task, or the last part of it, reading `reads` for that."""
    activated = () if task.epilogue.activated is None else (task.epilogue.activated,)
    writes, updates = ((), (task.out,)) if task.add else ((task.out, *activated), ())
    return Launch(spec, writes, updates, (*reads, *task.epilogue.reads), values, **more)


def is_readable(x: Tensor) -> bool:
    """Whether kernels can read a matrix, or a batch of them, as it is: one of its two directions has no gaps."""
    strides = view_of(x).strides
    return any(x.shape[axis] <= 1 or strides[axis] == 1 for axis in (-1, -2))


def batch_axes(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, shape: Shape) -> int:
    """Returns how many axes are left when those that can be walked as one, or as rows, are merged."""
    return len(_merged(a, b, transpose_a, transpose_b, shape)[0])


def _stored(tensor: Tensor | None) -> str | None:
    return None if tensor is None else stored_dtype(tensor).value


def _directions(x: Tensor, lines_first: bool) -> tuple[int, int]:
    first, second = view_of(x).strides[-2:]
    return (first, second) if lines_first else (second, first)


def _merged(
    a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, shape: Shape
) -> tuple[Shape, tuple[int, ...], tuple[int, ...], int, int]:
    """Returns the batch axes left, the strides of both operands along them, and the rows of the left one with their
    stride."""
    lead, rows = shape[:-2], shape[-2]
    steps = [broadcast_strides(x.shape[:-2], view_of(x).strides[:-2], lead) for x in (a, b)]
    lengths, (a_steps, b_steps) = collapse(lead, steps)
    a_row, _ = _directions(a, not transpose_a)
    # One right operand for all: the innermost batch axis continues the rows of the left one, if there is no jump.
    if b_steps[-1] == 0 and (rows == 1 or a_steps[-1] == rows * a_row):
        row = a_steps[-1] if rows == 1 and lengths[-1] > 1 else a_row
        return lengths[:-1], a_steps[:-1], b_steps[:-1], rows * lengths[-1], row
    if math.prod(lengths) == 1:
        return (), (), (), rows, a_row
    return lengths, a_steps, b_steps, rows, a_row
