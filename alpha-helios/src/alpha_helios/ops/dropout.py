"""Dropout: the mask is drawn where it is used, and what is added to the result may be added there."""

from alpha_core.dtype import DType
from alpha_core.random import RandomStream, dropout_threshold
from alpha_core.recording.launch import Following, KernelSpec, Launch
from alpha_core.recording.storage import is_contiguous, stored_dtype, view_of
from alpha_core.shape import dropout_row_size
from alpha_core.tensor import Shape, Tensor
from alpha_helios.kernels.dropout import dropout
from alpha_helios.ops.embedding import EmbeddingKernels
from alpha_helios.ops.extent import WORKGROUP, covering, is_wide

__all__ = ["DropoutKernels", "as_signed", "stream_numbers"]


class DropoutKernels(EmbeddingKernels):
    def dropout_mask(self, shape: Shape, rate: float, random: RandomStream, dtype: DType) -> Tensor:
        mask = self._dropped("dropout_mask", None, tuple(shape), rate, random)
        return mask if dtype is DType.f32 else self.cast(mask, dtype)

    def dropout(self, x: Tensor, rate: float, random: RandomStream) -> Tensor:
        self._require_computed("dropout", x)
        return self._dropped("dropout", x, x.shape, rate, random)

    def _dropped(self, op: str, x: Tensor | None, shape: Shape, rate: float, random: RandomStream) -> Tensor:
        """Returns x times the mask, or the mask."""
        width = dropout_row_size(op, shape, rate, random)
        out = self.result(shape, DType.f32, [] if x is None else [x])
        if out.size == 0:
            return out
        source = None if x is None else self.contiguous(x)
        numbers = self.contiguous(random.rows)
        blocks = -(-width // 4)

        def made(out: Tensor, addend: Tensor | None, between: str) -> Launch:
            moved = [tensor for tensor in (out, source, addend) if tensor is not None]
            whole = width % 4 == 0 and all(view_of(tensor).offset % 4 == 0 for tensor in moved)
            types = tuple("" if tensor is None else stored_dtype(tensor).value for tensor in (out, source, addend))
            return Launch(
                KernelSpec.of(
                    dropout,
                    types=types,
                    between=between,
                    lanes=4 if whole else 1,
                    wide=is_wide(out),
                    workgroup=WORKGROUP,
                ),
                writes=(out,),
                reads=(*moved[1:], numbers, random.step),
                values=(
                    *(numbers.size * blocks, blocks, width),
                    *stream_numbers(random),
                    as_signed(dropout_threshold(rate)),
                    1.0 / (1.0 - rate),
                ),
                groups=covering(numbers.size * blocks),
                flops=float(out.size * (len(moved) - 1)),
            )

        def extended(following: Following) -> Launch | None:
            addend = following.addend
            if following.expression is not None or addend is None or addend.shape != shape or not is_contiguous(addend):
                return None
            return made(following.out, addend, stored_dtype(out).value)

        alone = made(out, None, "f32")
        self.launch(
            alone.spec,
            writes=alone.writes,
            reads=alone.reads,
            values=alone.values,
            groups=alone.groups,
            flops=alone.flops,
            extended=None if source is None else extended,
        )
        return out


def stream_numbers(random: RandomStream) -> tuple[int, int, int]:
    """Returns what kernels are told of a stream: its number, and the halves of the seed, the lower one first."""
    return as_signed(random.stream), as_signed(random.seed), as_signed(random.seed >> 32)


def as_signed(word: int) -> int:
    """Returns the i32 with the lower 32 bits of a number."""
    return (word + (1 << 31)) % (1 << 32) - (1 << 31)
