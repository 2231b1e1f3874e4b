"""The ops of the backend `cpu`, one file for each family of the contract in `alpha_core.ops`."""

from alpha_tensor.cpu.ops.activation import ActivationKernels
from alpha_tensor.cpu.ops.attention import AttentionKernels
from alpha_tensor.cpu.ops.decoding import ChoiceKernels
from alpha_tensor.cpu.ops.dropout import DropoutKernels
from alpha_tensor.cpu.ops.matmul import MatmulKernels
from alpha_tensor.cpu.ops.normalization import NormalizationKernels
from alpha_tensor.cpu.ops.optimizer import OptimizerKernels
from alpha_tensor.cpu.ops.softmax import SoftmaxKernels

__all__ = ["CpuOps"]


class CpuOps(
    MatmulKernels,
    DropoutKernels,
    SoftmaxKernels,
    NormalizationKernels,
    ActivationKernels,
    AttentionKernels,
    OptimizerKernels,
    ChoiceKernels,
):
    """All of them."""
