"""What the setting `precision` means: the dtype of tensors, and the operands of matrix products."""

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.errors import BackendError

__all__ = ["set_precision", "tensor_dtype"]


def tensor_dtype(precision: str) -> DType:
    """Returns the dtype of weights, activations, gradients and optimizer state, however a backend may store them.

    >>> tensor_dtype("f64"), tensor_dtype("bf16")
    (f64, f32)
    """
    return DType.f32 if precision in ("bf16", "f16") else DType(precision)


def set_precision(backend: Backend, precision: str) -> DType:
    """Prepares a backend for `precision` and returns the dtype of tensors. Raises `BackendError` if it cannot."""
    dtype = tensor_dtype(precision)
    if dtype not in backend.compute_dtypes:
        able = ", ".join(known.value for known in backend.compute_dtypes)
        raise BackendError(f"backend `{backend.name}` does not compute in {dtype.value}; it computes in {able}")
    backend.set_matmul_dtype(DType(precision))
    return dtype
