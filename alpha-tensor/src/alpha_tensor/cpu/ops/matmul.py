"""Matrix products."""

from alpha_core.dtype import DType
from alpha_core.recording.launch import KernelSpec
from alpha_core.shape import matmul_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.finish import Finish
from alpha_tensor.cpu.kernels.gemv import gemv, most_rows, rows_at_once
from alpha_tensor.cpu.ops.reduction import ReductionKernels
from alpha_tensor.cpu.product import MOST_BATCH_AXES, Epilogue, batch_axes, is_readable, matmul_launches

__all__ = ["Epilogue", "MatmulKernels", "matmul_launches"]


class MatmulKernels(ReductionKernels):
    matmul_dtype: DType
    """What operands are rounded to: f32 or bf16."""

    def matmul(self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
        self._require_computed("matmul", a, b)
        shape = matmul_shape(a.shape, b.shape, transpose_a, transpose_b)
        out = self.empty(shape, a.dtype)
        if out.size == 0:
            return out
        a, b = (x if is_readable(x) else self._copied(x) for x in (a, b))
        if batch_axes(a, b, transpose_a, transpose_b, shape) > MOST_BATCH_AXES:
            a, b = (self.contiguous(self.broadcast_to(x, (*shape[:-2], *x.shape[-2:]))) for x in (a, b))
        self._launch_product(a, b, transpose_a, transpose_b, out)
        return out

    def _launch_product(self, a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, out: Tensor) -> None:
        launches = matmul_launches(
            self.jit.target,
            a,
            b,
            transpose_a,
            transpose_b,
            out,
            matmul_dtype=self.matmul_dtype,
            empty=self.empty,
        )
        for launch in launches:
            self.launch(
                launch.spec,
                writes=launch.writes,
                updates=launch.updates,
                reads=launch.reads,
                values=launch.values,
                flops=launch.flops,
                into=launch.into,
                extended=launch.extended,
            )

    def quantized_matmul(self, x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
        self._require_computed("quantized_matmul", x, *([] if scale is None else [scale]))
        shape = self._check_quantized_matmul(x, weight, scale)
        rows, length = x.shape
        if rows == 0 or 0 in weight.shape:
            return super().quantized_matmul(x, weight, scale)
        x, weight = self.contiguous(x), self.contiguous(weight)
        out = self.empty(shape, x.dtype)
        rounded = self.matmul_dtype is DType.bf16
        if rows > most_rows(self.jit.target, rounded):
            self._launch_product(x, weight, False, True, out)
            return out if scale is None else self.mul(out, scale)
        spec = KernelSpec.of(
            gemv,
            rows=rows_at_once(rows),
            finish=Finish(),
            element=weight.dtype.value,
            scaled=scale is not None,
            rounded=rounded,
        )
        reads = [x, weight] if scale is None else [x, weight, self.contiguous(scale)]
        self.launch(
            spec,
            writes=[out],
            reads=reads,
            values=[rows, weight.shape[0], length, length, length],
            flops=2.0 * rows * weight.size,
        )
        return out
