"""The kernel of elementwise ops, over operands with any strides."""

import math
from collections.abc import Sequence

from alpha_core.ops.elementwise import Operand
from alpha_core.recording.creation import moved_as
from alpha_core.recording.elementwise import sums
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.layout import broadcast_strides, collapse
from alpha_core.recording.storage import row_major, stored_dtype, view_of
from alpha_core.shape import plain_number
from alpha_core.tensor import Tensor
from alpha_helios.kernels.elementwise import FLAT, NUMBER, REPEATED, TARGET, elementwise
from alpha_helios.ops.creation import CreationKernels
from alpha_helios.ops.extent import WORKGROUP, covering, is_wide

__all__ = ["ElementwiseKernels"]


class ElementwiseKernels(CreationKernels):
    def _fill(self, op: str, out: Tensor, operands: list[Operand]) -> None:
        """Launches an op whose result is `out`, which is contiguous. An operand that is `out` itself is updated."""
        if out.size == 0:
            return
        tensors = [operand for operand in operands if isinstance(operand, Tensor) and operand is not out]
        walks = [broadcast_strides(t.shape, view_of(t).strides, out.shape) for t in tensors]
        lengths, (own, *steps) = collapse(out.shape, [row_major(out.shape), *walks])
        rank = 0 if all(step in (own, (0,) * len(lengths)) for step in steps) else len(lengths)
        lanes = _vector_width([out, *tensors], [own, *steps], lengths, whole_rows=rank > 0)
        forms: list[str] = []
        values: list[int | float] = [out.size, *lengths[1:rank]]
        numbers: list[int | float] = []
        ahead = iter(steps)
        for operand in operands:
            if operand is out:
                forms.append(TARGET)
            elif isinstance(operand, Tensor):
                form, strides = _form(next(ahead), own)
                forms.append(form)
                values += strides
            else:
                forms.append(NUMBER)
                numbers.append(plain_number(op, operand, out.dtype))
        updated = len(tensors) < sum(isinstance(operand, Tensor) for operand in operands)
        self.launch(
            KernelSpec.of(
                elementwise,
                op=op,
                types=_types(op, out, operands),
                forms=tuple(forms),
                rank=rank,
                lanes=lanes,
                wide=is_wide(out, *tensors),
                workgroup=WORKGROUP,
            ),
            writes=[] if updated else [out],
            updates=[out] if updated else [],
            reads=tensors,
            values=[*values, *numbers],
            groups=covering(out.size, lanes),
            flops=0.0 if op in ("cast", "copy", "where") else float(out.size),
            adds=(out, tensors[0]) if op == "add" and updated and len(tensors) == 1 else None,
            follows=sums(out, tensors) if op == "add" and not updated and len(tensors) == 2 else (),
        )


def _vector_width(
    tensors: Sequence[Tensor], walks: Sequence[tuple[int, ...]], lengths: tuple[int, ...], *, whole_rows: bool
) -> int:
    """Returns how many neighbours a kernel may load and store at once: 4, 2 or 1.

    `walks` are the tensors' strides along axes of these lengths, 0 where a tensor is repeated. With `whole_rows` a
    vector ends where the innermost axis does, else the kernel takes care of what is left at the very end.
    """

    def fits(lanes: int, tensor: Tensor, steps: tuple[int, ...]) -> bool:
        if steps[-1] != 1:
            return steps[-1] == 0  # one element for all of a vector
        return all(place % lanes == 0 for place in (view_of(tensor).offset, *steps[:-1]))

    for lanes in (4, 2):
        fitting = all(fits(lanes, tensor, steps) for tensor, steps in zip(tensors, walks, strict=True))
        if fitting and (lengths[-1] % lanes == 0 if whole_rows else math.prod(lengths) >= lanes):
            return lanes
    return 1


def _form(steps: tuple[int, ...], own: tuple[int, ...]) -> tuple[str, list[int]]:
    """Returns how a tensor is read, and the strides that the kernel has to be told."""
    if steps == own:
        return FLAT, []
    if not any(steps):
        return REPEATED, []
    marks = ["0" if step == 0 else "s" for step in steps]
    if steps[-1] == 1:
        marks[-1] = "1"
    return "".join(marks), [step for step, mark in zip(steps, marks, strict=True) if mark == "s"]


def _types(op: str, out: Tensor, operands: Sequence[Operand]) -> tuple[str, ...]:
    """Returns the element types of a result and its operands by name; what is only moved has no dtype."""
    moved = [x for x in operands[1 if op == "where" else 0 :] if isinstance(x, Tensor)]
    own = stored_dtype(out)
    if op in ("copy", "where") and all(stored_dtype(tensor) is own for tensor in moved):
        names = [moved_as(own)] * (1 + len(operands))
        if op == "where" and isinstance(operands[0], Tensor):
            names[1] = stored_dtype(operands[0]).value
        return tuple(names)
    return own.value, *((stored_dtype(x) if isinstance(x, Tensor) else own).value for x in operands)
