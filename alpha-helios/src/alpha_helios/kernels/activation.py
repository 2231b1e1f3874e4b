"""Expressions as code of kernels, and the activation with its bias in one pass."""

from collections.abc import Mapping, Sequence

from alpha_core.expression import Expression, X
from alpha_helios.grid import linear_group
from alpha_helios.kernels import math
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.columns import store_sums
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i64, vector
from alpha_helios.spirv.value import Number, Value

__all__ = ["ROWS_EACH", "bias_activation", "bias_activation_grad", "evaluate"]

ROWS_EACH = 4
"""Rows of which an invocation of `bias_activation` has a vector each."""


def bias_activation(
    k: Kernel, *, out: str, x: str, bias: str | None, coefficients: Sequence[str], expression: Expression, lanes: int
) -> None:
    """out = expression(x + bias), with a bias and coefficients for each column.

    Arguments: out, x, the bias if there is one, the coefficients by name; elements in all, columns. Rows have as many
    elements as there are columns, the last one what is left. Workgroups (x, y) take x vectors of ROWS_EACH * y rows.
    """
    target = elements(k, out)
    inputs = _Inputs(k, x, bias, coefficients, expression, lanes)
    tile = _Tile(k, lanes)
    down = k.workgroup[1]
    with k.if_(tile.column < tile.width):
        columns = inputs.columns(tile.column)
        for step in range(ROWS_EACH):
            row = tile.down * (ROWS_EACH * down) + (step * down + k.local(1))
            place = tile.place(row)
            with k.if_(place < tile.size):
                value = inputs.value(place, columns)
                target.store(place, evaluate(k, expression, value, columns[1]))


def bias_activation_grad(
    k: Kernel,
    *,
    dx: str,
    grad: str,
    x: str,
    bias: str | None,
    coefficients: Sequence[str],
    expression: Expression,
    lanes: int,
) -> None:
    """dx = grad * expression'(x + bias), and sums over a block of rows: of dx for the bias, and for each coefficient.

    Arguments: dx, partial sums (blocks, bias and coefficients, columns) in f32 if there are any, grad, x, the bias if
    there is one, the coefficients by name; elements in all, columns, rows, rows of a block. Workgroups as those of
    `bias_activation`, but of blocks of rows.
    """
    learned = expression.coefficients()
    slopes = [expression.derivative(X), *(expression.derivative(coefficient) for coefficient in learned)]
    target = elements(k, dx)
    partial = k.pointer() if bias or learned else None
    gradient = elements(k, grad, readonly=True)
    inputs = _Inputs(k, x, bias, coefficients, expression, lanes)
    tile = _Tile(k, lanes)
    rows, block = k.integer(), k.integer()
    across, down, _ = k.workgroup
    sums = [[k.variable(0.0, vector(f32, lanes))] for _ in range(len(learned) + bool(bias))]
    first = tile.down * block
    with k.if_(tile.column < tile.width):
        columns = inputs.columns(tile.column)
        with k.range_(first + k.local(1), k.minimum(first + block, rows), down) as row:
            place = tile.place(row)
            with k.if_(place < tile.size):
                value = inputs.value(place, columns)
                g = gradient.load(place, lanes)
                changes = [g * slope for slope in evaluate_all(k, slopes, value, columns[1])]
                target.store(place, changes[0])
                for (total,), change in zip(sums, changes if bias else changes[1:], strict=True):
                    total.value = total.value + change
    if partial is not None:
        begin = tile.column - k.local(0) * lanes
        step = tile.width * len(sums)
        to_block = partial + (k.convert(tile.down, i64) * k.convert(step, i64) + k.convert(begin, i64))
        left = k.select(first < rows, tile.width - begin, 0)
        store_sums(k, to_block, sums, [k.local(0) * lanes], k.local(1), down, across * lanes, left, tile.width)


def evaluate(k: Kernel, expression: Expression, x: Value, coefficients: Mapping[str, Value]) -> Value:
    """Computes an expression of vectors (or scalars) as the ops of its nodes do; equal subtrees once.

    A product that is added to something is rounded once, with the sum.
    """
    return evaluate_all(k, [expression], x, coefficients)[0]


def evaluate_all(
    k: Kernel, expressions: Sequence[Expression], x: Value, coefficients: Mapping[str, Value]
) -> list[Value]:
    """Computes several expressions of the same input."""
    algebra = _Vectors(k)
    return [k.lift(expression.evaluate(algebra, x, coefficients), x.type) for expression in expressions]


class _Tile:
    """Where an invocation is: takes the numbers of elements and columns from the arguments."""

    def __init__(self, k: Kernel, lanes: int) -> None:
        self._k = k
        self.size, self.width = k.long(), k.integer()
        span = k.workgroup[0] * lanes
        tiles = (self.width + (span - 1)) // span
        group = linear_group(k)
        self.down = group // tiles
        """Which rows the workgroup has."""
        self.column = group % tiles * span + k.local(0) * lanes

    def place(self, row: Value) -> Value:
        """The index (i64) of the vector in a row."""
        return self._k.convert(row, i64) * self._k.convert(self.width, i64) + self._k.convert(self.column, i64)


class _Inputs:
    """Takes x, its bias and the coefficients of an expression from the kernel's arguments."""

    def __init__(
        self, k: Kernel, x: str, bias: str | None, coefficients: Sequence[str], expression: Expression, lanes: int
    ) -> None:
        self._lanes, self._x = lanes, elements(k, x, readonly=True)
        self._bias = elements(k, bias, readonly=True) if bias else None
        names = [coefficient.name for coefficient in expression.coefficients()]
        self._coefficients = {
            name: elements(k, stored, readonly=True) for name, stored in zip(names, coefficients, strict=True)
        }

    def columns(self, column: Value) -> tuple[Value | None, dict[str, Value]]:
        """The bias and the coefficients of a vector of columns."""
        bias = self._bias.load(column, self._lanes) if self._bias else None
        return bias, {name: place.load(column, self._lanes) for name, place in self._coefficients.items()}

    def value(self, place: Value, columns: tuple[Value | None, dict[str, Value]]) -> Value:
        """x + bias."""
        value = self._x.load(place, self._lanes)
        return value if columns[0] is None else value + columns[0]


class _Vectors:
    """The nodes of an expression as instructions."""

    def __init__(self, k: Kernel) -> None:
        self._k = k
        self._factors: dict[int, tuple[Number, Number]] = {}

    def neg(self, x: Value) -> Value:
        return -x

    def exp(self, x: Value) -> Value:
        return math.exp(self._k, x)

    def log(self, x: Value) -> Value:
        return math.log(self._k, x)

    def sqrt(self, x: Value) -> Value:
        return math.root(self._k, x)

    def tanh(self, x: Value) -> Value:
        return math.tanh(self._k, x)

    def sigmoid(self, x: Value) -> Value:
        return math.sigmoid(self._k, x)

    def abs(self, x: Value) -> Value:
        return self._k.absolute(x)

    def sign(self, x: Value) -> Value:
        return math.sign(self._k, x)

    def step(self, x: Value) -> Value:
        return self._k.select(x > 0.0, self._k.constant(x.type, 1.0), 0.0)

    def add(self, a: Number, b: Number) -> Value:
        k = self._k
        for product, other in ((a, b), (b, a)):
            if factors := self._factors_of(product):
                return k.fma(*factors, other)
        return k.binary("add", a, b)

    def sub(self, a: Number, b: Number) -> Value:
        k = self._k
        if factors := self._factors_of(b):
            return k.fma(-factors[0], factors[1], a)
        if factors := self._factors_of(a):
            return k.fma(*factors, -b)
        return k.binary("sub", a, b)

    def mul(self, a: Number, b: Number) -> Value:
        product = self._k.binary("mul", a, b)
        self._factors[product.id] = (a, b)
        return product

    def div(self, a: Number, b: Number) -> Value:
        return math.divide(self._k, a, b)

    def maximum(self, a: Number, b: Number) -> Value:
        return math.larger(self._k, a, b)

    def minimum(self, a: Number, b: Number) -> Value:
        return math.smaller(self._k, a, b)

    def _factors_of(self, value: Number) -> tuple[Number, Number] | None:
        return self._factors.get(value.id) if isinstance(value, Value) else None
