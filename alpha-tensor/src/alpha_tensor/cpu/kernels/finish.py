"""What happens to a block of a product while it is still in the first cache: sums of blocks, biases, activations."""

from typing import TYPE_CHECKING

import attrs

from alpha_core.expression import Expression
from alpha_tensor.cpu.kernels.activation import evaluate
from alpha_tensor.cpu.kernels.rows import sweep_pairs
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

if TYPE_CHECKING:
    from alpha_tensor.cpu.kernel import Kernel

__all__ = ["Finish", "Output"]


@attrs.frozen
class Finish:
    """What is done with the sum of products `p` of each element. Part of a kernel's identity.

    With `partial` p is added to what stands in another matrix first. Then `out += p` with `add`; else with an
    `expression` `out = p` and `activated = expression(p + bias)`; else `out = residual + (p + bias)`. A bias or
    residual that there is not is left out.
    """

    add: bool = False
    partial: bool = False
    bias: bool = False
    residual: bool = False
    expression: Expression | None = None

    @property
    def plain(self) -> bool:
        return self == Finish()

    def __str__(self) -> str:
        words = [name for name in ("add", "partial", "bias", "residual") if getattr(self, name)]
        return " ".join([*words, *([] if self.expression is None else [str(self.expression)])])


class Output:
    """The matrices that a product writes, and those that its elements are combined with: all contiguous, M by N.

    Takes its share of the kernel's arguments in two steps, as they stand in two places: written, then read.
    """

    def __init__(self, k: "Kernel", finish: Finish) -> None:
        self.k, self.finish = k, finish
        self.out = k.pointer()
        self.activated = k.pointer() if finish.expression is not None else self.out

    def take_reads(self) -> None:
        """Takes the bias, the coefficients by name, the residual and the partial sums, those that there are."""
        k, finish = self.k, self.finish
        self._bias = k.pointer() if finish.bias else self.out
        expression = finish.expression
        self._coefficients = {} if expression is None else {c.name: k.pointer() for c in expression.coefficients()}
        self._residual = k.pointer() if finish.residual else self.out
        self._partial = k.pointer() if finish.partial else self.out

    def vector(self, sums: Value, index: Value, column: Value, mask: Value | None = None) -> None:
        """Finishes a vector of sums that belongs at `index` of the output, in `column` of its row."""
        k, finish, lanes = self.k, self.finish, sums.type.lanes

        def load(pointer: Pointer, place: Value) -> Value:
            return pointer.load(place, lanes, mask)

        product = load(self._partial, index) + sums if finish.partial else sums
        if finish.add:
            self.out.store(index, load(self.out, index) + product, mask)
            return
        biased = product + load(self._bias, column) if finish.bias else product
        if finish.expression is not None:
            self.out.store(index, product, mask)
            coefficients = {name: load(pointer, column) for name, pointer in self._coefficients.items()}
            self.activated.store(index, evaluate(k, finish.expression, biased, coefficients), mask)
        else:
            self.out.store(index, load(self._residual, index) + biased if finish.residual else biased, mask)

    def block(
        self, tile: Pointer, width: int, start: Value, row_stride: Value, column: Value, rows: Number, columns: Number
    ) -> None:
        """Finishes a block of sums from the stack, where its rows are `width` apart and have room for whole vectors.

        `start` is the index of its first element in the output, whose rows are `row_stride` apart.
        """
        with self.k.range_(0, rows) as row:
            index = start + row * row_stride

            def finish(offset: Value, mask: Value | None, lanes: int) -> None:
                self.vector(tile.load(row * width + offset, lanes), index + offset, column + offset, mask)

            sweep_pairs(self.k, 0, columns, finish)
