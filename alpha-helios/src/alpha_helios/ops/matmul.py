"""Matrix products."""

from alpha_core.dtype import DType
from alpha_core.errors import ShapeError
from alpha_core.recording.storage import stored_dtype
from alpha_core.shape import matmul_shape, require_dtype, require_shape
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
        self._multiply(Problem.of(a, b, transpose_a, transpose_b, shape), out)
        return out

    def quantized_matmul(self, x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
        self._require_computed("quantized_matmul", x)
        require_dtype("quantized_matmul", "weight", weight, DType.bf16, DType.i8)
        if x.ndim != 2 or weight.ndim != 2:
            raise ShapeError(f"`quantized_matmul`: {list(x.shape)} by {list(weight.shape)}: two dimensions are needed")
        shape = matmul_shape(x.shape, weight.shape, False, True)
        if scale is not None:
            self._require_computed("quantized_matmul", x, scale)
            require_shape("quantized_matmul", "scale", scale, weight.shape[:1])
            scale = self.contiguous(scale)
        out = self.activation(shape)
        if out.size:
            x, weight = self._operand(x, *shape), weight if is_readable(weight) else self._copied(weight)
            self._multiply(Problem.of(x, weight, False, True, shape), out, scale)
        return out

    def _operand(self, x: Tensor, lines: int, others: int) -> Tensor:
        """Returns x, or a copy that kernels can read, which is rounded if it meets many lines of the other operand."""
        often = lines > MOST_ROWS and others >= _OFTEN
        if often and self.matmul_dtype is not DType.f32 and stored_dtype(x) is DType.f32:
            rounded = self.activation(x.shape)
            self._copy_into(rounded, x)
            return rounded
        return x if is_readable(x) else self._copied(x)

    def _multiply(self, problem: Problem, out: Tensor, scale: Tensor | None = None) -> None:
        """Launches a product; `scale` is that of its columns."""
        epilogue = Epilogue(stored_dtype(out).value, scale)
        task = Task(problem, out, self.empty, self.matmul_dtype.value, epilogue=epilogue)
        variant = self.tuner.choose(task.key, variants(task, self.info), lambda one: one.launches(task))
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
