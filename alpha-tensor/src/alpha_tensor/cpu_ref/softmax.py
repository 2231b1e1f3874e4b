"""Softmax and cross-entropy in numpy."""

import numpy as np

from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.dropout import DropoutKernels
from alpha_tensor.cpu_ref.storage import Array, array_of, quiet

__all__ = ["SoftmaxKernels"]


class SoftmaxKernels(DropoutKernels):
    @quiet()
    def softmax(self, x: Tensor) -> Tensor:
        (values,) = self._computed("softmax", x)
        self._check_softmax("softmax", x)
        return self._tensor(_softmax(values), x.dtype)

    @quiet()
    def softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
        g, y = self._computed("softmax_grad", grad, out)
        require_shape("softmax_grad", "grad", grad, out.shape)
        return self._tensor(y * (g - (g * y).sum(-1, keepdims=True)), grad.dtype)

    @quiet()
    def log_softmax(self, x: Tensor) -> Tensor:
        (values,) = self._computed("log_softmax", x)
        self._check_softmax("log_softmax", x)
        return self._tensor(_log_softmax(values), x.dtype)

    @quiet()
    def log_softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
        g, y = self._computed("log_softmax_grad", grad, out)
        require_shape("log_softmax_grad", "grad", grad, out.shape)
        return self._tensor(g - np.exp(y) * g.sum(-1, keepdims=True), grad.dtype)

    @quiet()
    def cross_entropy(self, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        (values,) = self._computed("cross_entropy", logits)
        counted, classes = self._targets("cross_entropy", logits, targets, ignore_index)
        likelihood = _log_softmax(values)[np.arange(len(classes)), classes]  # (N,)
        return self._tensor(np.where(counted, -likelihood, 0.0), logits.dtype)

    @quiet()
    def cross_entropy_grad(self, grad: Tensor, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        g, values = self._computed("cross_entropy_grad", grad, logits)
        counted, classes = self._targets("cross_entropy_grad", logits, targets, ignore_index)
        require_shape("cross_entropy_grad", "grad", grad, targets.shape)
        difference = _softmax(values)
        difference[np.arange(len(classes)), classes] -= 1.0
        return self._tensor(np.where(counted[:, None], difference * g[:, None], 0.0), logits.dtype)

    def _targets(self, op: str, logits: Tensor, targets: Tensor, ignore_index: int) -> tuple[Array, Array]:
        """Returns which targets count, and the targets with class 0 in place of ignored ones."""
        self._check_cross_entropy(op, logits, targets)
        classes = array_of(targets)
        self._check_classes(op, classes, ignore_index, logits.shape[1])
        counted = classes != ignore_index
        return counted, np.where(counted, classes, 0)


def _softmax(x: Array) -> Array:
    exponentials: Array = np.exp(x - x.max(-1, keepdims=True))
    exponentials /= exponentials.sum(-1, keepdims=True)
    return exponentials


def _log_softmax(x: Array) -> Array:
    shifted: Array = x - x.max(-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(-1, keepdims=True))
    return shifted
