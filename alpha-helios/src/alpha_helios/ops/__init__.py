"""The ops of the backend `helios`, one file for each family of the contract in `alpha_core.ops`."""

from alpha_helios.ops.activation import ActivationKernels
from alpha_helios.ops.attention import AttentionKernels
from alpha_helios.ops.decoding import ChoiceKernels
from alpha_helios.ops.matmul import MatmulKernels
from alpha_helios.ops.normalization import NormalizationKernels
from alpha_helios.ops.optimizer import OptimizerKernels
from alpha_helios.ops.softmax import SoftmaxKernels

__all__ = ["HeliosOps"]


class HeliosOps(
    AttentionKernels,
    MatmulKernels,
    SoftmaxKernels,
    NormalizationKernels,
    ActivationKernels,
    ChoiceKernels,
    OptimizerKernels,
):
    """All of them."""
