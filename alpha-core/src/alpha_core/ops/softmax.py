"""Softmax and cross-entropy, over the last axis."""

from typing import Any

import numpy.typing as npt

from alpha_core.dtype import DType
from alpha_core.errors import OpError, ShapeError
from alpha_core.op import op
from alpha_core.ops.dropout import DropoutOps
from alpha_core.shape import require_dtype, require_shape
from alpha_core.tensor import Tensor

__all__ = ["SoftmaxOps"]


class SoftmaxOps(DropoutOps):
    """All shift by the largest value first, so that nothing overflows. Floating only."""

    @op
    def softmax(self, x: Tensor) -> Tensor:
        """exp(x - max x) / sum exp(x - max x)."""
        self._check_softmax("softmax", x)
        exponentials = self.exp(self.sub(x, self.max(x, -1, True)))
        return self.div(exponentials, self.sum(exponentials, -1, True))

    @op
    def softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
        """out * (grad - sum(grad * out)), with out = softmax(x)."""
        require_shape("softmax_grad", "grad", grad, out.shape)
        return self.mul(out, self.sub(grad, self.sum(self.mul(grad, out), -1, True)))

    @op
    def log_softmax(self, x: Tensor) -> Tensor:
        """x - logsumexp(x)."""
        self._check_softmax("log_softmax", x)
        shifted = self.sub(x, self.max(x, -1, True))
        return self.sub(shifted, self.log(self.sum(self.exp(shifted), -1, True)))

    @op
    def log_softmax_grad(self, grad: Tensor, out: Tensor) -> Tensor:
        """grad - softmax(x) * sum(grad), with out = log_softmax(x)."""
        require_shape("log_softmax_grad", "grad", grad, out.shape)
        return self.sub(grad, self.mul(self.exp(out), self.sum(grad, -1, True)))

    @op
    def cross_entropy(self, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        """Negative log-likelihood of each target in nats: -log_softmax(logits)[target].

        0 where the target is `ignore_index`. logits (N, V), targets i32 (N,) gives (N,).
        """
        self._check_cross_entropy("cross_entropy", logits, targets)
        counted, picked = self._valid_targets(targets, ignore_index)
        likelihood = self.gather(self.log_softmax(logits), picked, 1)  # (N, 1)
        return self.reshape(self.where(counted, self.neg(likelihood), 0.0), targets.shape)

    @op
    def cross_entropy_grad(self, grad: Tensor, logits: Tensor, targets: Tensor, ignore_index: int = -1) -> Tensor:
        """grad * (softmax(logits) - one_hot(target)); 0 where ignored. grad (N,) gives (N, V)."""
        self._check_cross_entropy("cross_entropy_grad", logits, targets)
        require_shape("cross_entropy_grad", "grad", grad, targets.shape)
        counted, picked = self._valid_targets(targets, ignore_index)
        probabilities = self.softmax(logits)
        difference = self.sub(probabilities, self._one_hot(picked, logits.shape[1], logits.dtype))
        return self.where(counted, self.mul(difference, self.reshape(grad, (grad.size, 1))), 0.0)

    @staticmethod
    def _check_softmax(op: str, x: Tensor) -> None:
        if x.ndim == 0 or x.shape[-1] == 0:
            raise ShapeError(f"`{op}`: the last axis of {list(x.shape)} has no elements")

    @classmethod
    def _check_cross_entropy(cls, op: str, logits: Tensor, targets: Tensor) -> None:
        cls._check_softmax(op, logits)
        if logits.ndim != 2:
            raise ShapeError(f"`{op}`: `logits` has shape {list(logits.shape)}; (rows, classes) is needed")
        require_dtype(op, "targets", targets, DType.i32)
        require_shape(op, "targets", targets, logits.shape[:1])

    @staticmethod
    def _check_classes(op: str, targets: npt.NDArray[Any], ignore_index: int, classes: int) -> None:
        """Raises `OpError` unless all targets, as the host sees them, are classes or ignored."""
        outside = (targets != ignore_index) & ((targets < 0) | (targets >= classes))
        if outside.any():
            raise OpError(f"`{op}`: target {targets[outside][0]} is outside 0 ... {classes - 1}")

    def _valid_targets(self, targets: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
        """Returns a mask of the targets that count, and the targets with class 0 for ignored ones. Both (N, 1)"""
        column = self.reshape(targets, (targets.size, 1))
        counted = self.sub(1, self.equal(column, ignore_index))
        return counted, self.mul(column, counted)
