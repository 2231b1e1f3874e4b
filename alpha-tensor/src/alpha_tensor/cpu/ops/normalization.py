"""Layer norm and RMS norm; rows may stand anywhere as long as each has no gaps."""

from collections.abc import Sequence

from alpha_core.recording.launch import KernelSpec, Launch
from alpha_core.recording.layout import collapse
from alpha_core.recording.storage import view_of
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.norm import norm, norm_grad, sum_blocks
from alpha_tensor.cpu.kernels.rows import ROW_AXES
from alpha_tensor.cpu.ops.reduction import ReductionKernels

__all__ = ["NormalizationKernels"]

_LEAST_BLOCK, _MOST_BLOCKS = 16, 16
"""Rows whose sums for the weight are taken together, and how many such blocks may share the work."""


class NormalizationKernels(ReductionKernels):
    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> Tensor:
        return self._normalized("layer_norm", x, weight, bias, eps, centred=True)

    def layer_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5
    ) -> tuple[Tensor, Tensor, Tensor]:
        dx, dweight, dbias = self._normalized_grad("layer_norm_grad", grad, x, weight, eps, centred=True)
        return dx, dweight, dbias

    def rms_norm(self, x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
        return self._normalized("rms_norm", x, weight, None, eps, centred=False)

    def rms_norm_grad(self, grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
        dx, dweight = self._normalized_grad("rms_norm_grad", grad, x, weight, eps, centred=False)
        return dx, dweight

    def _normalized(
        self, op: str, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, *, centred: bool
    ) -> Tensor:
        columns = [weight] if bias is None else [weight, bias]
        self._require_computed(op, x, *columns)
        self._check_norm(op, x, weight, bias)
        out = self.empty(x.shape, x.dtype)
        if x.size == 0:
            return out
        (x,), strided, places = self._row_places([x])
        self.launch(
            KernelSpec.of(norm, centred=centred, bias=bias is not None, strided=strided),
            writes=[out],
            reads=[x, *map(self.contiguous, columns)],
            values=[x.size // x.shape[-1], x.shape[-1], float(eps), *places],
            flops=8.0 * x.size,
        )
        return out

    def _normalized_grad(
        self, op: str, grad: Tensor, x: Tensor, weight: Tensor, eps: float, *, centred: bool
    ) -> list[Tensor]:
        """Returns the gradients for x and weight, and the one for bias if `centred`."""
        self._require_computed(op, grad, x, weight)
        self._check_norm_grad(op, grad, x, weight)
        sums = 2 if centred else 1
        if x.size == 0:
            return [self.empty(x.shape, x.dtype), *(self.zeros(weight.shape, x.dtype) for _ in range(sums))]
        width = x.shape[-1]
        rows = x.size // width
        block = max(_LEAST_BLOCK, -(-rows // _MOST_BLOCKS))
        dx, partial = self.empty(x.shape, x.dtype), self.empty((-(-rows // block), sums, width), x.dtype)
        (grad, x), strided, places = self._row_places([grad, x])
        self.launch(
            KernelSpec.of(norm_grad, centred=centred, strided=strided),
            writes=[dx, partial],
            reads=[grad, x, self.contiguous(weight)],
            values=[rows, width, block, float(eps), *places],
            flops=16.0 * x.size,
        )
        return [dx, *(self._block_sum(partial, place) for place in range(sums))]

    def _block_sum(self, partial: Tensor, place: int) -> Tensor:
        """Adds up partial[:, place]: (blocks, sums, width) gives (width,)."""
        blocks, sums, width = partial.shape
        out = self.empty((width,), partial.dtype)
        values = (blocks, sums * width, place * width, width)
        flops = float(blocks * width)

        def into(destination: Tensor) -> Launch:
            spec = KernelSpec.of(sum_blocks, add=True)
            return Launch(spec, (), (destination,), (partial,), values, flops, accumulates=True)

        self.launch(
            KernelSpec.of(sum_blocks, add=False), writes=[out], reads=[partial], values=values, flops=flops, into=into
        )
        return out

    def _row_places(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], bool, list[int]]:
        """Returns tensors in which a kernel can find the rows, whether by several strides, and the kernel's numbers."""
        found = [tensor if _row_axes(tensor) else self._copied(tensor) for tensor in tensors]
        axes = [_row_axes(tensor) for tensor in found]
        strided = any(len(of_one) > 1 for of_one in axes)
        places: list[int] = []
        for (_, outermost), *inner in axes:
            if strided:
                missing = ROW_AXES - 1 - len(inner)
                places += [*(length for length, _ in reversed(inner)), *(1,) * missing]
                places += [*(stride for _, stride in reversed(inner)), *(0,) * missing]
            places.append(outermost)
        return found, strided, places


def _row_axes(x: Tensor) -> list[tuple[int, int]]:
    """Returns the length and stride of each axis along which the rows of x stand; none if it must be copied."""
    strides = view_of(x).strides
    if x.shape[-1] > 1 and strides[-1] != 1:
        return []
    lengths, (steps,) = collapse(x.shape[:-1], [strides[:-1]])
    return list(zip(lengths, steps, strict=True)) if len(lengths) <= ROW_AXES else []
