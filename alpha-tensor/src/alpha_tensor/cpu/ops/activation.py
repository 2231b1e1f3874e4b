"""Activations: a kernel for each expression."""

from collections.abc import Sequence

from alpha_core.expression import Expression
from alpha_core.recording.launch import Following, KernelSpec
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.activation import bias_activation, bias_activation_grad
from alpha_tensor.cpu.ops.reduction import ReductionKernels

__all__ = ["ActivationKernels"]


class ActivationKernels(ReductionKernels):
    def bias_activation(
        self, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor] = ()
    ) -> Tensor:
        columns = self._columns("bias_activation", x, bias, expression, coefficients)
        out = self.empty(x.shape, x.dtype)
        if x.size:
            x = self.contiguous(x)
            addend, rest = (None, columns) if bias is None else (columns[0], columns[1:])
            self.launch(
                KernelSpec.of(bias_activation, expression=expression, bias=bias is not None),
                writes=[out],
                reads=[x, *columns],
                follows=[Following(x, out, addend, expression, tuple(rest))],
                values=_rows_and_width(x, columns),
                flops=float(x.size * len(expression.nodes())),
            )
        return out

    def bias_activation_grad(
        self,
        grad: Tensor,
        x: Tensor,
        bias: Tensor | None,
        expression: Expression,
        coefficients: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        columns = self._columns("bias_activation_grad", x, bias, expression, coefficients)
        self._require_computed("bias_activation_grad", grad, x)
        require_shape("bias_activation_grad", "grad", grad, x.shape)
        dx = self.empty(x.shape, x.dtype)
        if x.size == 0:
            sums = [self.zeros(column.shape, x.dtype) for column in columns]
        else:
            sums = [self.empty(column.shape, x.dtype) for column in columns]
            self.launch(
                KernelSpec.of(bias_activation_grad, expression=expression, bias=bias is not None),
                writes=[dx, *sums],
                reads=[self.contiguous(grad), self.contiguous(x), *columns],
                values=_rows_and_width(x, columns),
                flops=float(2 * x.size * len(expression.nodes())),
            )
        return dx, sums.pop(0) if bias is not None else None, sums

    def _columns(
        self, op: str, x: Tensor, bias: Tensor | None, expression: Expression, coefficients: Sequence[Tensor]
    ) -> list[Tensor]:
        """Checks the arguments; returns the bias, if there is one, and the coefficients."""
        columns = [*([] if bias is None else [bias]), *coefficients]
        self._require_computed(op, x, *columns)
        self._check_activation(op, x, bias, expression, coefficients)
        return [self.contiguous(column) for column in columns]


def _rows_and_width(x: Tensor, columns: Sequence[Tensor]) -> list[int]:
    """Returns x as rows of the columns' length, or as one row where there are no columns."""
    width = x.shape[-1] if columns else x.size
    return [x.size // width, width]
