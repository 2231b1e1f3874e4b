"""Softmax and cross-entropy."""

from alpha_core.recording.launch import KernelSpec
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.cross_entropy import cross_entropy, cross_entropy_grad
from alpha_tensor.cpu.kernels.softmax import log_softmax, log_softmax_grad, softmax, softmax_grad
from alpha_tensor.cpu.memory import as_numpy
from alpha_tensor.cpu.ops.reduction import ReductionKernels

__all__ = ["SoftmaxKernels"]

_FLOPS_OF_EXP = 12.0


class SoftmaxKernels(ReductionKernels):
    def softmax(self, x: Tensor) -> Tensor:
        self._require_computed("softmax", x)
        self._check_softmax("softmax", x)
        return self._by_row(KernelSpec.of(softmax), x)

    def softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
        self._require_computed("softmax_grad", grad, out)
        require_shape("softmax_grad", "grad", grad, out.shape)
        return self._by_row(KernelSpec.of(softmax_grad), grad, out)

    def log_softmax(self, x: Tensor) -> Tensor:
        self._require_computed("log_softmax", x)
        self._check_softmax("log_softmax", x)
        return self._by_row(KernelSpec.of(log_softmax), x)

    def log_softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
        self._require_computed("log_softmax_grad", grad, out)
        require_shape("log_softmax_grad", "grad", grad, out.shape)
        return self._by_row(KernelSpec.of(log_softmax_grad), grad, out)

    def cross_entropy(self, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        self._require_targets("cross_entropy", logits, targets, ignore_index)
        out = self.empty(targets.shape, logits.dtype)
        self.launch(
            KernelSpec.of(cross_entropy),
            writes=[out],
            reads=[self.contiguous(logits), self.contiguous(targets)],
            values=[*logits.shape, ignore_index],
            flops=_FLOPS_OF_EXP * logits.size,
        )
        return out

    def cross_entropy_grad(self, grad: Tensor, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        self._require_computed("cross_entropy_grad", grad, logits)
        self._require_targets("cross_entropy_grad", logits, targets, ignore_index)
        require_shape("cross_entropy_grad", "grad", grad, targets.shape)
        out = self.empty(logits.shape, logits.dtype)
        self.launch(
            KernelSpec.of(cross_entropy_grad),
            writes=[out],
            reads=[self.contiguous(tensor) for tensor in (grad, logits, targets)],
            values=[*logits.shape, ignore_index],
            flops=_FLOPS_OF_EXP * logits.size,
        )
        return out

    def _by_row(self, spec: KernelSpec, *tensors: Tensor) -> Tensor:
        """Launches a kernel whose arguments are the result, contiguous tensors of its shape, and that shape."""
        first = tensors[0]
        out = self.empty(first.shape, first.dtype)
        if out.size:
            self.launch(
                spec,
                writes=[out],
                reads=[self.contiguous(tensor) for tensor in tensors],
                values=[first.size // first.shape[-1], first.shape[-1]],
                flops=_FLOPS_OF_EXP * first.size,
            )
        return out

    def _require_targets(self, op: str, logits: Tensor, targets: Tensor, ignore_index: int) -> None:
        self._require_computed(op, logits)
        self._check_cross_entropy(op, logits, targets)
        if self.recorder is None:
            self._check_classes(op, as_numpy(targets), ignore_index, logits.shape[1])
