"""Layer normalization and RMS normalization in numpy."""

import numpy as np

from alpha_core.tensor import Tensor
from alpha_tensor.cpu_ref.softmax import SoftmaxKernels
from alpha_tensor.cpu_ref.storage import Array, array_of, lead_axes, quiet

__all__ = ["NormalizationKernels"]


class NormalizationKernels(SoftmaxKernels):
    @quiet()
    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> Tensor:
        values, w = self._computed("layer_norm", x, weight)
        self._check_norm("layer_norm", x, weight, bias)
        normalized, _ = _standardized(values, eps)
        scaled = normalized * w
        return self._tensor(scaled if bias is None else scaled + array_of(bias), x.dtype)

    @quiet()
    def layer_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5
    ) -> tuple[Tensor, Tensor, Tensor]:
        g, values, w = self._computed("layer_norm_grad", grad, x, weight)
        self._check_norm_grad("layer_norm_grad", grad, x, weight)
        n, r = _standardized(values, eps)
        gw = g * w
        dx = r * (gw - gw.mean(-1, keepdims=True) - n * (gw * n).mean(-1, keepdims=True))
        dweight, dbias = (g * n).sum(lead_axes(g)), g.sum(lead_axes(g))
        return self._tensor(dx, x.dtype), self._tensor(dweight, x.dtype), self._tensor(dbias, x.dtype)

    @quiet()
    def rms_norm(self, x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
        values, w = self._computed("rms_norm", x, weight)
        self._check_norm("rms_norm", x, weight, None)
        return self._tensor(values * _reciprocal_rms(values, eps) * w, x.dtype)

    @quiet()
    def rms_norm_grad(self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
        g, values, w = self._computed("rms_norm_grad", grad, x, weight)
        self._check_norm_grad("rms_norm_grad", grad, x, weight)
        r = _reciprocal_rms(values, eps)
        n, gw = values * r, g * w
        dx = r * (gw - n * (gw * n).mean(-1, keepdims=True))
        return self._tensor(dx, x.dtype), self._tensor((g * n).sum(lead_axes(g)), x.dtype)


def _standardized(x: Array, eps: float) -> tuple[Array, Array]:
    """Returns (x - mean) * r and r = 1 / sqrt(variance + eps)."""
    centred = x - x.mean(-1, keepdims=True)
    r = _reciprocal_rms(centred, eps)
    return centred * r, r


def _reciprocal_rms(x: Array, eps: float) -> Array:
    reciprocal: Array = 1.0 / np.sqrt(np.square(x).mean(-1, keepdims=True) + eps)
    return reciprocal
