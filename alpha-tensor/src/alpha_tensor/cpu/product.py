"""Plans of matrix products: which kernels run, on which packed operands. Shapes, strides and target decide."""

import math
from collections.abc import Callable

import attrs

from alpha_core.dtype import DType
from alpha_core.expression import Expression
from alpha_core.recording.launch import Following, KernelSpec, Launch
from alpha_core.recording.layout import broadcast_strides, collapse
from alpha_core.recording.storage import View, is_contiguous, view_of
from alpha_core.tensor import Shape, Tensor
from alpha_tensor.cpu.kernels.finish import Finish
from alpha_tensor.cpu.kernels.gemm import LEFT_WIDTH, gemm, panel_width
from alpha_tensor.cpu.kernels.gemm_tiles import TILE_LINES, TILE_STEPS, gemm_tiles
from alpha_tensor.cpu.kernels.gemv import gemv, most_rows, rows_at_once
from alpha_tensor.cpu.kernels.pack import TILE_WORDS, pack, panel_words
from alpha_tensor.cpu.target import Target

__all__ = ["MOST_BATCH_AXES", "Epilogue", "Matrix", "batch_axes", "is_readable", "matmul_launches"]

Empty = Callable[[Shape, DType], Tensor]

MOST_BATCH_AXES = 2
"""That kernels step through; see `batch_axes`."""
_PANEL_BYTES = 256 * 1024
"""Of a packed panel: with the run of rows that it meets it fits the second cache."""
_RUN_BYTES = 1280 * 1024
"""Of a left operand whose rows meet one panel after the other: it stays in the second cache."""
_BLOCK_GRAIN = 32  # elements of the inner axis in one step of tiles
_SMALL_WORDS = 8192
"""A right operand of this size stays in the first cache, so packing it gains nothing."""


@attrs.frozen
class Epilogue:
    """What is done to a product while its blocks are in the first cache, with the roundings of the ops one by one.

    With an expression `out` = product and `activated` = expression(product + bias); else `out` = residual + (product +
    bias). Whatever is None is left out.
    """

    bias: Tensor | None = None
    """(N,)."""
    expression: Expression | None = None
    coefficients: tuple[Tensor, ...] = ()
    """One (N,) for each of `expression.coefficients()`."""
    activated: Tensor | None = None
    """Of the shape of the product; written if there is an expression."""
    residual: Tensor | None = None
    """Of the shape of the product, contiguous."""

    def followed_by(self, following: Following) -> "Epilogue | None":
        """Returns what does the same and what follows it; None if that cannot be said."""
        addend = following.addend
        if self.expression is not None or self.residual is not None or (addend and not is_contiguous(addend)):
            return None
        is_bias = addend is not None and addend.size == following.source.shape[-1]
        if following.expression is not None:
            if self.bias is not None or (addend is not None and not is_bias):
                return None
            return Epilogue(addend, following.expression, following.coefficients, following.out)
        if is_bias and addend is not None and addend.size < following.source.size:
            return None if self.bias is not None else attrs.evolve(self, bias=addend)
        return None if addend is None or addend.size != following.source.size else attrs.evolve(self, residual=addend)


@attrs.frozen
class Matrix:
    """One side of a batch of products: `lines` rows of the left or columns of the right operand, by `inner`."""

    tensor: Tensor
    lines: int
    inner: int
    line_stride: int
    inner_stride: int
    batch_strides: tuple[int, int]
    inner_axis: int
    """-1 or -2."""

    @property
    def contiguous(self) -> str:
        """The direction without gaps."""
        return "inner" if self.inner_stride == 1 or self.inner == 1 else "lines"

    @property
    def stride(self) -> int:
        """The stride of the other direction."""
        return self.line_stride if self.contiguous == "inner" else self.inner_stride

    def part(self, start: int, stop: int) -> "Matrix":
        """Returns a range of the inner axis."""
        view = view_of(self.tensor)
        moved = View(view.buffer, view.strides, view.offset + start * self.inner_stride)
        shape = list(self.tensor.shape)
        shape[self.inner_axis] = stop - start
        tensor = Tensor(tuple(shape), self.tensor.dtype, moved)
        return attrs.evolve(self, tensor=tensor, inner=stop - start)


@attrs.frozen
class _Problem:
    """A batch of products with one out of all leading axes that can be walked as rows."""

    a: Matrix
    b: Matrix
    batch: tuple[int, int]

    @property
    def count(self) -> int:
        return math.prod(self.batch)

    def part(self, start: int, stop: int) -> "_Problem":
        return attrs.evolve(self, a=self.a.part(start, stop), b=self.b.part(start, stop))


def is_readable(x: Tensor) -> bool:
    """Whether kernels can read a matrix, or a batch of them, as it is: one of its two directions has no gaps."""
    strides = view_of(x).strides
    return any(x.shape[axis] <= 1 or strides[axis] == 1 for axis in (-1, -2))


def batch_axes(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, shape: Shape) -> int:
    """Returns how many axes are left when those that can be walked as one, or as rows, are merged."""
    return len(_merged(a, b, transpose_a, transpose_b, shape)[0])


def matmul_launches(
    target: Target,
    a: Tensor,
    b: Tensor,
    transpose_a: bool,
    transpose_b: bool,
    out: Tensor,
    *,
    accumulate: bool = False,
    epilogue: Epilogue | None = None,
    matmul_dtype: DType = DType.f32,
    empty: Empty,
) -> list[Launch]:
    """Returns the launches of out = a b (out += a b with `accumulate`); the last one writes `out`.

    Operands are f32 (the right one may be bf16 or i8), pass `is_readable` and have at most `MOST_BATCH_AXES`; `out` is
    contiguous. An operand is packed by a launch of its own that reads nothing else. `accumulate` and `epilogue` exclude
    each other.
    """
    if accumulate and epilogue is not None:
        raise ValueError("a product with an epilogue cannot be added to a tensor")
    if out.size == 0:
        return []
    problem = _problem(a, b, transpose_a, transpose_b, out.shape)
    planner = _Planner(target, problem, matmul_dtype, empty)
    return planner.launches(out, Finish(add=accumulate), epilogue or Epilogue())


def _problem(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, shape: Shape) -> _Problem:
    lengths, a_steps, b_steps, folded = _merged(a, b, transpose_a, transpose_b, shape)
    if len(lengths) > MOST_BATCH_AXES:
        raise ValueError(f"{len(lengths)} batch axes; there may be {MOST_BATCH_AXES}")
    missing = MOST_BATCH_AXES - len(lengths)
    outer, inner = (1,) * missing + lengths
    a_outer, a_inner = (0,) * missing + a_steps
    b_outer, b_inner = (0,) * missing + b_steps
    rows, columns = shape[-2:]
    length = a.shape[-2 if transpose_a else -1]
    a_row, a_step = _directions(a, not transpose_a)
    b_column, b_step = _directions(b, transpose_b)
    return _Problem(
        Matrix(a, rows * folded, length, a_row, a_step, (a_outer, a_inner), -2 if transpose_a else -1),
        Matrix(b, columns, length, b_column, b_step, (b_outer, b_inner), -1 if transpose_b else -2),
        (outer, inner),
    )


def _directions(x: Tensor, lines_first: bool) -> tuple[int, int]:
    first, second = view_of(x).strides[-2:]
    return (first, second) if lines_first else (second, first)


def _merged(
    a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, shape: Shape
) -> tuple[Shape, tuple[int, ...], tuple[int, ...], int]:
    """Returns the batch axes left, the strides of both operands along them, and by how much rows grew."""
    lead = shape[:-2]
    steps = [broadcast_strides(x.shape[:-2], view_of(x).strides[:-2], lead) for x in (a, b)]
    lengths, (a_steps, b_steps) = collapse(lead, steps)
    a_row, _ = _directions(a, not transpose_a)
    # One right operand for all: the innermost batch axis continues the rows of the left one, if there is no jump.
    if b_steps[-1] == 0 and a_steps[-1] == shape[-2] * a_row:
        return lengths[:-1], a_steps[:-1], b_steps[:-1], lengths[-1]
    if math.prod(lengths) == 1:
        return (), (), (), 1
    return lengths, a_steps, b_steps, 1


class _Planner:
    def __init__(self, target: Target, problem: _Problem, matmul_dtype: DType, empty: Empty) -> None:
        self.target, self.problem, self.empty = target, problem, empty
        self.rounded = matmul_dtype is DType.bf16

    def launches(self, out: Tensor, finish: Finish, epilogue: Epilogue) -> list[Launch]:
        problem = self.problem
        few = self._few_rows(epilogue)
        if few is not None:
            return [self._streamed(few, out, finish, epilogue)]
        length = problem.a.inner
        plan = self._tiled if self._use_tiles() else self._untiled
        most = self._longest_sum()
        parts = max(-(-length // most), 1)
        block = _round_up(-(-length // parts), _BLOCK_GRAIN) if parts > 1 else length
        launches: list[Launch] = []
        partial: Tensor | None = None
        for start in range(0, max(length, 1), max(block, 1)):
            stop = min(start + block, length)
            part = problem.part(start, stop) if parts > 1 else problem
            if stop == length:
                launches += plan(part, out, _finish(finish, epilogue, partial), epilogue, partial)
            elif partial is None:
                partial = self.empty(out.shape, DType.f32)
                launches += plan(part, partial, Finish(), Epilogue(), None)
            else:
                launches += plan(part, partial, Finish(add=True), Epilogue(), None)
        return launches

    def _few_rows(self, epilogue: Epilogue) -> _Problem | None:
        """Returns the product with the few rows on the left, if one side has few and both are read along the sum."""
        problem = self.problem
        if problem.b.tensor.dtype is not DType.f32:
            return None
        if problem.count > 1 or problem.a.inner == 0 or {problem.a.contiguous, problem.b.contiguous} != {"inner"}:
            return None
        if problem.a.lines <= most_rows(self.target, self.rounded):
            return problem
        if problem.b.lines == 1 and epilogue == Epilogue():
            return attrs.evolve(problem, a=problem.b, b=problem.a)
        return None

    def _streamed(self, problem: _Problem, out: Tensor, finish: Finish, epilogue: Epilogue) -> Launch:
        x, weight = problem.a, problem.b
        done = _finish(finish, epilogue, None)
        spec = KernelSpec.of(gemv, rows=rows_at_once(x.lines), finish=done, rounded=self.rounded)
        values = (x.lines, weight.lines, x.inner, x.line_stride, weight.line_stride)
        return self._product(spec, problem, out, x.tensor, weight.tensor, values, epilogue, None)

    def _use_tiles(self) -> bool:
        """Whether tile registers are faster, packing included. Figures in ns, as measured (decision 0026)."""
        a, b = self.problem.a, self.problem.b
        if not self.target.has_tiles or a.inner == 0:
            return False
        if self.rounded:
            return True
        length = a.inner
        packing = length * (a.lines + b.lines)
        tiled = _round_up(a.lines, TILE_LINES) * _round_up(b.lines, TILE_LINES) * length / 230 + packing * 0.2
        left = length * a.lines * 0.1 if a.contiguous == "lines" else 0.0
        untiled = a.lines * _round_up(b.lines, self.target.lanes) * length / 115 + length * b.lines * 0.1 + left
        return tiled < untiled

    def _longest_sum(self) -> int:
        if self._use_tiles():
            return 2048 if self.rounded else 768
        return _PANEL_BYTES // (panel_width(self.target) * (2 if self.rounded else 4))

    def _untiled(
        self, problem: _Problem, out: Tensor, finish: Finish, epilogue: Epilogue, partial: Tensor | None
    ) -> list[Launch]:
        a, b = problem.a, problem.b
        width = panel_width(self.target)
        words = "bf16" if self.rounded else "f32"
        steps = -(-a.inner // 2) if self.rounded else a.inner
        launches: list[Launch] = []
        if self.rounded or (a.contiguous == "lines" and a.lines > 1 and a.lines * steps > _SMALL_WORDS):
            launch, left, a_batch = self._packed(problem, a, LEFT_WIDTH, words, panel_words(steps, LEFT_WIDTH))
            launches.append(launch)
            a_row, a_step, a_panel = 1, LEFT_WIDTH, panel_words(steps, LEFT_WIDTH)
        else:
            left, a_batch = a.tensor, a.batch_strides
            a_row, a_step, a_panel = a.line_stride, a.inner_stride, a.line_stride * LEFT_WIDTH
        if self._reads_right(b, a.lines):
            right, b_batch, b_step, b_panel = b.tensor, b.batch_strides, b.inner_stride, width
        else:
            b_step, b_panel = width, panel_words(steps, width)
            launch, right, b_batch = self._packed(problem, b, width, words, b_panel)
            launches.append(launch)
        run = max(_RUN_BYTES // (4 * max(steps, 1) * LEFT_WIDTH), 1) * LEFT_WIDTH
        values = (a.lines, b.lines, steps, run, a_row, a_step, a_panel, b_step, b_panel)
        spec = KernelSpec.of(gemm, finish=finish, words=words)
        return [
            *launches,
            self._product(spec, problem, out, left, right, (*values, *self._walk(a_batch, b_batch)), epilogue, partial),
        ]

    def _reads_right(self, b: Matrix, rows: int) -> bool:
        """Whether panels are read from the operand itself: its columns are neighbours, and it is small or read once."""
        if b.tensor.dtype is not DType.f32:
            return False
        if self.rounded or b.contiguous != "lines" or (self.target.lanes < 8 and b.lines % panel_width(self.target)):
            return b.inner == 0
        return rows <= 6 or b.lines * b.inner <= _SMALL_WORDS

    def _tiled(
        self, problem: _Problem, out: Tensor, finish: Finish, epilogue: Epilogue, partial: Tensor | None
    ) -> list[Launch]:
        a, b = problem.a, problem.b
        words, parts = ("bf16", 1) if self.rounded else ("split", 3)
        steps = -(-a.inner // (2 * TILE_STEPS))
        panel = steps * 2 * parts * TILE_WORDS
        first, left, a_batch = self._packed(problem, a, TILE_LINES, words, panel, "rows")
        second, right, b_batch = self._packed(problem, b, TILE_LINES, words, panel, "columns")
        run = max(_RUN_BYTES // (4 * panel), 1) * TILE_LINES
        values = (a.lines, b.lines, steps, run, panel)
        spec = KernelSpec.of(gemm_tiles, finish=finish, words=words)
        walk = self._walk(a_batch, b_batch)
        return [first, second, self._product(spec, problem, out, left, right, (*values, *walk), epilogue, partial)]

    def _packed(
        self, problem: _Problem, x: Matrix, width: int, words: str, panel: int, layout: str = "panels"
    ) -> tuple[Launch, Tensor, tuple[int, int]]:
        """Returns the launch that packs an operand, its result, and the strides of the result along the batch axes."""
        panels = -(-x.lines // width)
        # An axis along which the operand repeats is packed once.
        outer, inner = (
            1 if stride == 0 else length for length, stride in zip(problem.batch, x.batch_strides, strict=True)
        )
        matrix = panels * panel
        # Room for what products read ahead: a step of two tiles in three parts.
        packed = self.empty((outer * inner * matrix + 6 * TILE_WORDS,), DType.f32)
        launch = Launch(
            KernelSpec.of(
                pack,
                contiguous=x.contiguous,
                layout=layout,
                width=width,
                words=words,
                element=x.tensor.dtype.value,
            ),
            writes=(packed,),
            reads=(x.tensor,),
            values=(x.lines, x.inner, x.stride, panel, panels, outer * inner, inner, *x.batch_strides),
        )
        strides = (0 if outer == 1 else inner * matrix, 0 if inner == 1 else matrix)
        return launch, packed, strides

    def _walk(self, a_batch: tuple[int, int], b_batch: tuple[int, int]) -> tuple[int, ...]:
        return (self.problem.count, self.problem.batch[1], *a_batch, *b_batch)

    def _product(
        self,
        spec: KernelSpec,
        problem: _Problem,
        out: Tensor,
        left: Tensor,
        right: Tensor,
        values: tuple[int, ...],
        epilogue: Epilogue,
        partial: Tensor | None,
    ) -> Launch:
        parameters = dict(spec.parameters)
        finish: Finish = parameters["finish"]
        activated = () if epilogue.activated is None else (epilogue.activated,)
        combined = (epilogue.bias, *epilogue.coefficients, epilogue.residual, partial)
        reads = (left, right, *(tensor for tensor in combined if tensor is not None))
        flops = 2.0 * problem.count * problem.a.lines * problem.b.lines * problem.a.inner

        def into(destination: Tensor) -> Launch:
            added = KernelSpec.of(spec.build, **parameters | {"finish": attrs.evolve(finish, add=True)})
            return Launch(added, (), (destination,), reads, values, flops, accumulates=True)

        def extended(following: Following) -> Launch | None:
            longer = epilogue.followed_by(following)
            if longer is None or problem.a.lines != self.problem.a.lines:
                return None
            more = KernelSpec.of(spec.build, **parameters | {"finish": _finish(finish, longer, partial)})
            written = following.out if following.expression is None else out
            return self._product(more, problem, written, left, right, values, longer, partial)

        if finish.add:
            return Launch(spec, activated, (out,), reads, values, flops, accumulates=True)
        plain = attrs.evolve(finish, partial=False).plain
        return Launch(
            spec, (out, *activated), (), reads, values, flops, into=into if plain else None, extended=extended
        )


def _round_up(count: int, grain: int) -> int:
    return -(-count // grain) * grain


def _finish(finish: Finish, epilogue: Epilogue, partial: Tensor | None) -> Finish:
    return attrs.evolve(
        finish,
        partial=partial is not None,
        bias=epilogue.bias is not None,
        residual=epilogue.residual is not None,
        expression=epilogue.expression,
    )
