"""Layer normalization and RMS normalization, over the last axis."""

from alpha_core.op import op
from alpha_core.ops.softmax import SoftmaxOps
from alpha_core.shape import require_shape
from alpha_core.tensor import Tensor

__all__ = ["NormalizationOps"]


class NormalizationOps(SoftmaxOps):
    """Gradients recompute the statistics from x, which costs one pass and saves keeping them."""

    @op
    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> Tensor:
        """(x - mean) / sqrt(variance + eps) * weight + bias (Ba, Kiros, Hinton 2016).

        x (..., E), weight and bias (E,).
        """
        self._check_norm("layer_norm", x, weight, bias)
        normalized, _ = self._standardized(x, eps)
        scaled = self.mul(normalized, weight)
        return scaled if bias is None else self.add(scaled, bias)

    @op
    def layer_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients for x (..., E), weight (E,) and bias (E,).

        With n = (x - mean) * r and g = grad * weight: dx = r * (g - mean(g) - n * mean(g * n)).
        """
        self._check_norm_grad("layer_norm_grad", grad, x, weight)
        normalized, reciprocal = self._standardized(x, eps)
        scaled = self.mul(grad, weight)
        centred = self.sub(scaled, self.mean(scaled, -1, True))
        along = self.mul(normalized, self.mean(self.mul(scaled, normalized), -1, True))
        lead = tuple(range(x.ndim - 1))
        dweight = self.sum(self.mul(grad, normalized), lead)
        return self.mul(reciprocal, self.sub(centred, along)), dweight, self.sum(grad, lead)

    @op
    def rms_norm(self, x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
        """x / sqrt(mean(x * x) + eps) * weight (Zhang, Sennrich 2019). x (..., E), weight (E,)"""
        self._check_norm("rms_norm", x, weight, None)
        return self.mul(self.mul(x, self._reciprocal_rms(x, eps)), weight)

    @op
    def rms_norm_grad(self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
        """Gradients for x (..., E) and weight (E,).

        With n = x * r and g = grad * weight: dx = r * (g - n * mean(g * n)).
        """
        self._check_norm_grad("rms_norm_grad", grad, x, weight)
        reciprocal = self._reciprocal_rms(x, eps)
        normalized = self.mul(x, reciprocal)
        scaled = self.mul(grad, weight)
        along = self.mul(normalized, self.mean(self.mul(scaled, normalized), -1, True))
        dweight = self.sum(self.mul(grad, normalized), tuple(range(x.ndim - 1)))
        return self.mul(reciprocal, self.sub(scaled, along)), dweight

    @staticmethod
    def _check_norm(op: str, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        require_shape(op, "weight", weight, x.shape[-1:])
        if bias is not None:
            require_shape(op, "bias", bias, x.shape[-1:])

    @staticmethod
    def _check_norm_grad(op: str, grad: Tensor, x: Tensor, weight: Tensor) -> None:
        require_shape(op, "grad", grad, x.shape)
        require_shape(op, "weight", weight, x.shape[-1:])

    def _standardized(self, x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        """Returns (x - mean) * r and r = 1 / sqrt(variance + eps)."""
        centred = self.sub(x, self.mean(x, -1, True))
        reciprocal = self._reciprocal_rms(centred, eps)
        return self.mul(centred, reciprocal), reciprocal

    def _reciprocal_rms(self, x: Tensor, eps: float) -> Tensor:
        return self.div(1.0, self.sqrt(self.add(self.mean(self.square(x), -1, True), eps)))
