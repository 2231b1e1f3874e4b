"""What happens to the elements of a product before they are stored: scales, biases, residuals, activations."""

from collections.abc import Mapping, Sequence
from copy import copy

import attrs

from alpha_core.expression import Expression
from alpha_helios.kernels.access import Elements, elements, rounded
from alpha_helios.kernels.activation import evaluate
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.value import Value

__all__ = ["Finish", "Output"]


@attrs.frozen
class Finish:
    """What is done with the sum of products `p` of each element. Part of a kernel's identity.

    First p *= scale. Then `out += p` with `add`; else with an expression `out = p` and
    `activated = expression(p + bias)`; else `out = residual + (p + bias)`. What there is not is left out. A tensor is
    there if what it is stored as is named.
    """

    out: str = "f32"
    add: bool = False
    product: str = "f32"
    """What p is rounded to, as if it was stored by itself."""
    scale: str | None = None
    bias: str | None = None
    biased: str = "f32"
    """What p + bias is rounded to before the residual is added."""
    residual: str | None = None
    expression: Expression | None = None
    coefficients: tuple[str, ...] = ()
    activated: str | None = None


class Output:
    """The matrices that a product writes, and those that its elements are combined with: all contiguous, M by N.

    Takes its share of the kernel's arguments in two steps, as they stand in two places: written, then read.
    """

    def __init__(self, k: Kernel, finish: Finish) -> None:
        self.k, self.finish = k, finish
        self.out = elements(k, finish.out)
        self._activated = finish.activated and elements(k, finish.activated)

    def take_reads(self) -> None:
        """Takes the scale (N,), the bias (N,), the coefficients (N,), the residual (M, N)."""
        k, finish = self.k, self.finish
        self._scale = finish.scale and elements(k, finish.scale, readonly=True)
        self._bias = finish.bias and elements(k, finish.bias, readonly=True)
        learned = () if finish.expression is None else finish.expression.coefficients()
        self._coefficients: Mapping[str, Elements] = {
            one.name: elements(k, stored, readonly=True)
            for one, stored in zip(learned, finish.coefficients, strict=True)
        }
        self._residual = finish.residual and elements(k, finish.residual, readonly=True)

    @property
    def addresses(self) -> list[Value]:
        """Where the matrices lie; what `reached_by` takes."""
        return [one.place.address for one in self._all()]

    def reached_by(self, addresses: Sequence[Value]) -> "Output":
        """The same for a function beside the kernel, which knows the addresses that it is given and nothing else."""
        places = iter(addresses)

        def moved(one: Elements) -> Elements:
            return Elements(Pointer(next(places), one.place.element, readonly=one.place.readonly), one.stored)

        other = copy(self)
        other.out, other._activated = moved(self.out), self._activated and moved(self._activated)
        other._scale, other._bias = self._scale and moved(self._scale), self._bias and moved(self._bias)
        other._coefficients = {name: moved(one) for name, one in self._coefficients.items()}
        other._residual = self._residual and moved(self._residual)
        return other

    def _all(self) -> list[Elements]:
        combined = (self._scale, self._bias, *self._coefficients.values(), self._residual)
        return [one for one in (self.out, self._activated, *combined) if one]

    def store(self, sums: Value, index: Value, column: Value) -> None:
        """Finishes a sum, or a vector of neighbours, that belongs at `index` of the output, in `column` of its row."""
        k, finish, lanes = self.k, self.finish, sums.type.lanes
        if self._scale:
            sums = sums * self._scale.load(column, lanes)
        product = rounded(k, sums, finish.product)
        if finish.add:
            self.out.store(index, self.out.load(index, lanes) + product)
            return
        biased = product + self._bias.load(column, lanes) if self._bias else product
        if finish.expression is not None and self._activated:
            self.out.store(index, product)

            coefficients = {name: place.load(column, lanes) for name, place in self._coefficients.items()}
            self._activated.store(index, evaluate(k, finish.expression, biased, coefficients))
        elif self._residual:
            self.out.store(index, self._residual.load(index, lanes) + rounded(k, biased, finish.biased))
        else:
            self.out.store(index, biased)
