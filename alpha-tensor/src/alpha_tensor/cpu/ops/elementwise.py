"""The kernel of elementwise ops, over operands with any strides."""

import math

from alpha_core.ops.elementwise import Operand
from alpha_core.recording.creation import moved_as
from alpha_core.recording.elementwise import sums
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.layout import broadcast_strides, collapse
from alpha_core.recording.storage import row_major, view_of
from alpha_core.shape import plain_number
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.kernels.elementwise import CONTIGUOUS, NUMBER, REPEATED, STRIDED, TARGET, elementwise
from alpha_tensor.cpu.ops.creation import CreationKernels

__all__ = ["ElementwiseKernels"]

_ROWS_TO_SHARE = 16  # with fewer, threads share the columns


class ElementwiseKernels(CreationKernels):
    def _fill(self, op: str, out: Tensor, operands: list[Operand]) -> None:
        """Launches an op whose result is `out`, which is contiguous. An operand that is `out` itself is updated."""
        if out.size == 0:
            return
        tensors = [operand for operand in operands if isinstance(operand, Tensor) and operand is not out]
        walks = [broadcast_strides(t.shape, view_of(t).strides, out.shape) for t in tensors]
        lengths, (_, *steps) = collapse(out.shape, [row_major(out.shape), *walks])
        values: list[int | float] = [int(math.prod(lengths[:-1]) >= _ROWS_TO_SHARE), *lengths]
        numbers: list[int | float] = []
        forms = ""
        ahead = iter(steps)
        for operand in operands:
            if operand is out:
                forms += TARGET
            elif isinstance(operand, Tensor):
                *outer, inner = next(ahead)
                form = {1: CONTIGUOUS, 0: REPEATED}.get(inner, STRIDED)
                forms += form
                values += [*outer, inner] if form == STRIDED else outer
            else:
                forms += NUMBER
                numbers.append(plain_number(op, operand, out.dtype))
        updated = len(tensors) < sum(isinstance(operand, Tensor) for operand in operands)
        self.launch(
            KernelSpec.of(elementwise, op=op, types=_types(op, out, operands), forms=forms, outer=len(lengths) - 1),
            writes=[] if updated else [out],
            updates=[out] if updated else [],
            reads=tensors,
            values=[*values, *numbers],
            flops=0.0 if op in ("cast", "copy", "where") else float(out.size),
            adds=(out, tensors[0]) if op == "add" and updated and len(tensors) == 1 else None,
            follows=sums(out, tensors) if op == "add" and not updated and len(tensors) == 2 else (),
        )


def _types(op: str, out: Tensor, operands: list[Operand]) -> tuple[str, ...]:
    """Returns the element types of a result and its operands by name; what is only moved has no dtype."""
    own = moved_as(out.dtype) if op in ("copy", "where") else out.dtype.value
    looked_at = {"cast": 1, "where": 1}.get(op, 0)  # operands with a dtype of their own
    return own, *(
        operand.dtype.value if index < looked_at and isinstance(operand, Tensor) else own
        for index, operand in enumerate(operands)
    )
