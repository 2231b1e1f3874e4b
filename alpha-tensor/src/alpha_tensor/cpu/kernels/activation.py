"""Expressions as vector code, and the activation with its bias in one pass."""

from collections.abc import Mapping

from alpha_core.expression import Expression, X
from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.rows import segments, sweep, sweep_pairs
from alpha_tensor.cpu.llvm import math
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import f32
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

__all__ = ["bias_activation", "bias_activation_grad", "evaluate", "larger", "smaller"]


def bias_activation(k: Kernel, expression: Expression, bias: bool) -> None:
    """out = expression(x + bias), with a bias and coefficients for each column."""
    out, x = k.pointer(), k.pointer()
    inputs = _Inputs(k, expression, x, bias)
    count, width = k.integer(), k.integer()
    with segments(k, count, width) as (row, start, stop):

        def write(i: Value, mask: Value | None, lanes: int) -> None:
            value, coefficients = inputs.load(row * width, i, lanes, mask)
            out.store(row * width + i, evaluate(k, expression, value, coefficients), mask)

        sweep_pairs(k, start, stop, write)


def bias_activation_grad(k: Kernel, expression: Expression, bias: bool) -> None:
    """dx = grad * expression'(x + bias), and sums over the rows: of dx for the bias, and for each coefficient.

    Columns are shared out, so that a sum has one order; it grows in its place in memory, row after row.
    """
    learned = expression.coefficients()
    slopes = [expression.derivative(coefficient) for coefficient in learned]
    dx = k.pointer()
    dbias = k.pointer() if bias else None
    dlearned = [k.pointer() for _ in learned]
    grad, x = k.pointer(), k.pointer()
    inputs = _Inputs(k, expression, x, bias)
    count, width = k.integer(), k.integer()
    with k.share(width, 64) as (start, stop):
        for total in [*([dbias] if dbias else []), *dlearned]:
            sweep(k, start, stop, lambda i, mask, slot, total=total: total.store(i, _zeros(k), mask))  # type: ignore[misc]
        with k.range_(0, count) as row:

            def write(i: Value, mask: Value | None, lanes: int) -> None:
                value, coefficients = inputs.load(row * width, i, lanes, mask)
                g = grad.load(row * width + i, lanes, mask)
                change = g * evaluate(k, expression.derivative(X), value, coefficients)
                dx.store(row * width + i, change, mask)
                if dbias is not None:
                    dbias.store(i, dbias.load(i, lanes, mask) + change, mask)
                for total, slope in zip(dlearned, slopes, strict=True):
                    term = evaluate(k, slope, value, coefficients)
                    total.store(i, k.fma(g, term, total.load(i, lanes, mask)), mask)

            sweep_pairs(k, start, stop, write)


class _Inputs:
    """Takes x's bias and the coefficients of an expression from the kernel's arguments."""

    def __init__(self, k: Kernel, expression: Expression, x: Pointer, bias: bool) -> None:
        self._x = x
        self._bias = k.pointer() if bias else None
        self._coefficients = {coefficient.name: k.pointer() for coefficient in expression.coefficients()}

    def load(self, base: Value, i: Value, lanes: int, mask: Value | None) -> tuple[Value, dict[str, Value]]:
        """Returns x + bias and the coefficients for `lanes` columns from i on; the row starts at `base`."""
        value = self._x.load(base + i, lanes, mask)
        if self._bias is not None:
            value = value + self._bias.load(i, lanes, mask)
        loaded = {name: pointer.load(i, lanes, mask) for name, pointer in self._coefficients.items()}
        return value, loaded


def _zeros(k: Kernel) -> Value:
    return k.splat(k.constant(f32, 0), k.target.lanes)


def evaluate(f: Function, expression: Expression, x: Value, coefficients: Mapping[str, Value]) -> Value:
    """Computes an expression of vectors (or scalars) as the ops of its nodes do; equal subtrees once.

    A product that is added to something is rounded once, with the sum.
    """
    return f.lift(expression.evaluate(_Vectors(f), x, coefficients), x.type)


def larger(f: Function, a: Number, b: Number) -> Value:
    """The larger of two values; NaN when either is NaN."""
    return _extreme(f, "gt", a, b)


def smaller(f: Function, a: Number, b: Number) -> Value:
    """The smaller of two values; NaN when either is NaN."""
    return _extreme(f, "lt", a, b)


def _extreme(f: Function, relation: str, a: Number, b: Number) -> Value:
    # A comparison with NaN is false, so the second operand wins: only the first one needs a look, and no constant.
    if not isinstance(b, Value):
        a, b = b, a
    chosen = f.select(f.compare(relation, a, b), a, b)
    return f.select(f.unordered(a, a), a, chosen) if isinstance(a, Value) else chosen


class _Vectors:
    """The nodes of an expression as instructions."""

    def __init__(self, f: Function) -> None:
        self._f = f
        self._factors: dict[str, tuple[Number, Number]] = {}

    def neg(self, x: Value) -> Value:
        return -x

    def exp(self, x: Value) -> Value:
        return math.exp(self._f, x)

    def log(self, x: Value) -> Value:
        return math.log(self._f, x)

    def sqrt(self, x: Value) -> Value:
        return self._f.sqrt(x)

    def tanh(self, x: Value) -> Value:
        return math.tanh(self._f, x)

    def sigmoid(self, x: Value) -> Value:
        return math.sigmoid(self._f, x)

    def abs(self, x: Value) -> Value:
        return self._f.absolute(x)

    def sign(self, x: Value) -> Value:
        f = self._f
        unit = f.overloaded("copysign", f.constant(x.type, 1.0), x)
        return f.select(f.absolute(x) > 0.0, unit, x)  # zeros and NaN are their own signs

    def step(self, x: Value) -> Value:
        return self._f.select(x > 0.0, self._f.constant(x.type, 1.0), self._f.constant(x.type, 0.0))

    def add(self, a: Number, b: Number) -> Value:
        f = self._f
        for product, other in ((a, b), (b, a)):
            if factors := self._factors_of(product):
                return f.fma(*factors, other)
        return f.binary("add", a, b)

    def sub(self, a: Number, b: Number) -> Value:
        f = self._f
        if factors := self._factors_of(b):
            return f.fma(-factors[0], factors[1], a)
        if factors := self._factors_of(a):
            return f.fma(*factors, -b)
        return f.binary("sub", a, b)

    def mul(self, a: Number, b: Number) -> Value:
        product = self._f.binary("mul", a, b)
        self._factors[product.text] = (a, b)
        return product

    def div(self, a: Number, b: Number) -> Value:
        return self._f.binary("div", a, b)

    def maximum(self, a: Number, b: Number) -> Value:
        return larger(self._f, a, b)

    def minimum(self, a: Number, b: Number) -> Value:
        return smaller(self._f, a, b)

    def _factors_of(self, value: Number) -> tuple[Number, Number] | None:
        return self._factors.get(value.text) if isinstance(value, Value) else None
