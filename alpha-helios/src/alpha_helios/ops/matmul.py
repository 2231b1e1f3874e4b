"""Matrix products."""

import attrs

from alpha_core.dtype import DType
from alpha_core.recording.storage import Buffer, View, row_major, stored_bytes, stored_dtype, view_of
from alpha_core.shape import matmul_shape
from alpha_core.tensor import Tensor
from alpha_helios.kernels.gemv import MOST_ROWS
from alpha_helios.ops.reduction import ReductionKernels
from alpha_helios.product import MOST_BATCH_AXES, Epilogue, Problem, Task, batch_axes, is_readable
from alpha_helios.variants import variants

__all__ = ["MatmulKernels"]

_OFTEN = 1024
"""Lines of the other operand from which on an operand is rounded once, by a copy, and not whenever a tile reads it.

For each element the copy moves 6 bytes, 1.3e-12 s of a device with 4.8 TB/s; rounding takes 6 instructions for each
tile of 128 lines of the other operand, 1.4e-15 s a line at 33e12 instructions a second. An operand of few lines is not
worth another launch: it meets a matrix that takes longer to be read.
"""


class MatmulKernels(ReductionKernels):
    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        self._require_computed("matmul", a, b)
        shape = matmul_shape(a.shape, b.shape, transpose_a, transpose_b)
        out = self.activation(shape)
        if out.size == 0:
            return out
        rows, columns = (out.size // shape[-1] if b.ndim == 2 else shape[-2]), shape[-1]
        a, b = self._operand(a, rows, columns), self._operand(b, columns, rows)
        if batch_axes(a, b, transpose_a, transpose_b, shape) > MOST_BATCH_AXES:
            a, b = (self.contiguous(self.broadcast_to(x, (*shape[:-2], *x.shape[-2:]))) for x in (a, b))
        self._multiply(a, b, transpose_a, transpose_b, out)
        return out

    def quantized_matmul(self, x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
        self._require_computed("quantized_matmul", x, *([] if scale is None else [scale]))
        shape = self._check_quantized_matmul(x, weight, scale)
        out = self.activation(shape)
        if out.size:
            x, weight = self._operand(x, *shape), weight if is_readable(weight) else self._copied(weight)
            self._multiply(x, weight, False, True, out, None if scale is None else self.contiguous(scale))
        return out

    def _operand(self, x: Tensor, lines: int, others: int) -> Tensor:
        """Returns x, or a copy that kernels can read, which is rounded if it meets many lines of the other operand."""
        often = lines > MOST_ROWS and others >= _OFTEN
        if often and self.matmul_dtype is not DType.f32 and stored_dtype(x) is DType.f32:
            rounded = self.activation(x.shape)
            self._copy_into(rounded, x)
            return rounded
        return x if is_readable(x) else self._copied(x)

    def _multiply(
        self, a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, out: Tensor, scale: Tensor | None = None
    ) -> None:
        """Launches a product; `scale` is that of its columns.

        The variant is that of contiguous operands, which ops called one by one have: a recorded step, in which operands
        are views, gets the same bits.
        """
        flags, epilogue = (transpose_a, transpose_b, out.shape), Epilogue(stored_dtype(out).value, scale)
        usual = Problem.of(_contiguous_one(a), _contiguous_one(b), *flags)
        task = Task(usual, out, self.empty, self.matmul_dtype.value, epilogue=epilogue)
        variant = self.tuner.choose(task.key, variants(task, self.info), lambda one: one.launches(task))
        problem = Problem.of(a, b, *flags)
        if not variant.reads(problem, usual):
            problem = Problem.of(self.contiguous(a), self.contiguous(b), *flags)
        task = attrs.evolve(task, problem=problem)
        for launch in variant.launches(task):
            self.launch(
                launch.spec,
                writes=launch.writes,
                updates=launch.updates,
                reads=launch.reads,
                values=launch.values,
                flops=launch.flops,
                groups=launch.groups,
                into=launch.into,
                extended=launch.extended,
            )


def _contiguous_one(x: Tensor) -> Tensor:
    """Returns a tensor like x whose elements stand in row-major order, to look at and not to read."""
    return Tensor(x.shape, x.dtype, View(Buffer(stored_bytes(x)), row_major(x.shape), stored=view_of(x).stored))
