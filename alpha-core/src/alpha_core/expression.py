"""Expressions: an elementwise function as a tree that is evaluated, differentiated and compiled, never a kernel.

An activation is an `Expression` in the input `x`, constants and learnable per-channel coefficients. Node names are the
names of `Backend` ops, so a backend evaluates an expression by calling itself, and a compiler maps nodes one to one.

```python
from alpha_core.expression import X, coefficient, sigmoid
silu = X * sigmoid(X)
silu.derivative(X)                       # a tree again
gated = silu * coefficient("gate", 1.0)  # one learnable value for each channel
```
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast

import attrs
import numpy as np

from alpha_core.errors import OpError

__all__ = [
    "BINARY_OPS",
    "UNARY_OPS",
    "Binary",
    "Coefficient",
    "Constant",
    "Expression",
    "Input",
    "Unary",
    "X",
    "absolute",
    "coefficient",
    "constant",
    "exp",
    "log",
    "maximum",
    "minimum",
    "sigmoid",
    "sqrt",
    "square",
    "tanh",
]

UNARY_OPS = ("neg", "exp", "log", "sqrt", "tanh", "sigmoid", "abs", "sign", "step")
BINARY_OPS = ("add", "sub", "mul", "div", "maximum", "minimum")
Value = TypeVar("Value")  # of an algebra: arrays, tensors, registers


class Expression(ABC):
    """A node. Compared by structure, so that equal subtrees are computed once."""

    def __add__(self, other: "Expression | float") -> "Expression":
        return _binary("add", self, _lift(other))

    def __radd__(self, other: float) -> "Expression":
        return _binary("add", _lift(other), self)

    def __sub__(self, other: "Expression | float") -> "Expression":
        return _binary("sub", self, _lift(other))

    def __rsub__(self, other: float) -> "Expression":
        return _binary("sub", _lift(other), self)

    def __mul__(self, other: "Expression | float") -> "Expression":
        return _binary("mul", self, _lift(other))

    def __rmul__(self, other: float) -> "Expression":
        return _binary("mul", _lift(other), self)

    def __truediv__(self, other: "Expression | float") -> "Expression":
        return _binary("div", self, _lift(other))

    def __rtruediv__(self, other: float) -> "Expression":
        return _binary("div", _lift(other), self)

    def __neg__(self) -> "Expression":
        return _unary("neg", self)

    @property
    def operands(self) -> tuple["Expression", ...]:
        return ()

    def coefficients(self) -> tuple["Coefficient", ...]:
        """Returns the learnable coefficients, each once, ordered by name."""
        found: dict[str, Coefficient] = {}
        for node in self.nodes():
            if isinstance(node, Coefficient) and found.setdefault(node.name, node) != node:
                raise OpError(f"coefficient `{node.name}` has two initial values")
        return tuple(found[name] for name in sorted(found))

    def nodes(self) -> tuple["Expression", ...]:
        """Returns the distinct nodes, operands before the nodes that use them."""
        return _nodes(self)

    def derivative(self, variable: "Input | Coefficient") -> "Expression":
        """Returns the symbolic derivative. At a kink it is the right operand's: relu'(0) = 0, |x|'(0) = 0."""
        return _derivative(self, variable)

    def evaluate(self, algebra: Any, x: Value, coefficients: Mapping[str, Value]) -> "Value | float":
        """Computes the value with the methods of `algebra`, which are named as `UNARY_OPS` and `BINARY_OPS`.

        A `Backend` is an algebra. Either operand may be a float; a float results from an expression without `x`.
        """
        values: dict[Expression, Value | float] = {}
        for node in self.nodes():
            if isinstance(node, Input):
                values[node] = x
            elif isinstance(node, Constant):
                values[node] = node.value
            elif isinstance(node, Coefficient):
                values[node] = coefficients[node.name]
            else:
                op, operands = cast("Unary | Binary", node).op, [values[operand] for operand in node.operands]
                constant = all(isinstance(operand, float) for operand in operands)
                values[node] = (
                    _fold(op, *cast("list[float]", operands)) if constant else getattr(algebra, op)(*operands)
                )
        return values[self]

    @abstractmethod
    def to_json(self) -> list[Any]:
        """Returns the tree as nested lists: `["mul", ["x"], ["sigmoid", ["x"]]]`."""

    def __repr__(self) -> str:
        return f"Expression({self})"


@attrs.frozen(repr=False, cache_hash=True)
class Input(Expression):
    """The input `x`."""

    def to_json(self) -> list[Any]:
        return ["x"]

    def __str__(self) -> str:
        return "x"


@attrs.frozen(repr=False, cache_hash=True)
class Constant(Expression):
    """A fixed number."""

    value: float = attrs.field(converter=float)

    def to_json(self) -> list[Any]:
        return ["constant", self.value]

    def __str__(self) -> str:
        return f"{self.value:g}"


@attrs.frozen(repr=False, cache_hash=True)
class Coefficient(Expression):
    """A learnable value for each channel, with its initial value."""

    name: str
    initial: float = attrs.field(converter=float)

    def to_json(self) -> list[Any]:
        return ["coefficient", self.name, self.initial]

    def __str__(self) -> str:
        return self.name


@attrs.frozen(repr=False, cache_hash=True)
class Unary(Expression):
    """A function of one operand, named as in `UNARY_OPS`."""

    op: str
    operand: Expression

    @property
    def operands(self) -> tuple[Expression, ...]:
        return (self.operand,)

    def to_json(self) -> list[Any]:
        return [self.op, self.operand.to_json()]

    def __str__(self) -> str:
        return f"{self.op}({self.operand})"


@attrs.frozen(repr=False, cache_hash=True)
class Binary(Expression):
    """A function of two operands, named as in `BINARY_OPS`."""

    op: str
    left: Expression
    right: Expression

    @property
    def operands(self) -> tuple[Expression, ...]:
        return (self.left, self.right)

    def to_json(self) -> list[Any]:
        return [self.op, self.left.to_json(), self.right.to_json()]

    def __str__(self) -> str:
        symbol = {"add": "+", "sub": "-", "mul": "*", "div": "/"}.get(self.op)
        return f"({self.left} {symbol} {self.right})" if symbol else f"{self.op}({self.left}, {self.right})"


X = Input()


@lru_cache(maxsize=1024)  # a training step asks for the same few trees again and again
def _nodes(expression: Expression) -> tuple[Expression, ...]:
    ordered: dict[Expression, None] = {}

    def visit(node: Expression) -> None:
        if node not in ordered:
            for operand in node.operands:
                visit(operand)
            ordered[node] = None

    visit(expression)
    return tuple(ordered)


@lru_cache(maxsize=1024)
def _derivative(expression: Expression, variable: Input | Coefficient) -> Expression:
    table: dict[Expression, Expression] = {}
    for node in expression.nodes():
        if node == variable:
            table[node] = Constant(1.0)
        elif isinstance(node, Unary):
            table[node] = _UNARY_DERIVATIVES[node.op](node, node.operand) * table[node.operand]
        elif isinstance(node, Binary):
            table[node] = _binary_derivative(node, table[node.left], table[node.right])
        else:
            table[node] = Constant(0.0)
    return table[expression]


def _lift(value: Expression | float) -> Expression:
    return value if isinstance(value, Expression) else Constant(value)


def _unary(op: str, operand: Expression) -> Expression:
    if isinstance(operand, Constant):
        return Constant(_fold(op, operand.value))
    return Unary(op, operand)


def _binary(op: str, left: Expression, right: Expression) -> Expression:
    """Builds a node, folding constants and dropping neutral elements so that derivatives stay small.

    `0 * f` becomes 0 although f may be infinite: a derivative that is zero by rule must not turn into NaN.
    """
    if isinstance(left, Constant) and isinstance(right, Constant):
        return Constant(_fold(op, left.value, right.value))
    zero, one = Constant(0.0), Constant(1.0)
    match op:
        case "add" if left == zero:
            return right
        case "add" | "sub" if right == zero:
            return left
        case "sub" if left == zero:
            return _unary("neg", right)
        case "mul" if zero in (left, right):
            return zero
        case "mul" if left == one:
            return right
        case "mul" | "div" if right == one:
            return left
        case "div" if left == zero:
            return zero
    return Binary(op, left, right)


_FOLD: dict[str, Callable[..., Any]] = {
    "neg": np.negative,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": lambda u: 0.5 + 0.5 * np.tanh(0.5 * u),
    "abs": np.absolute,
    "sign": np.sign,
    "step": lambda u: np.float64(u > 0),
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def _fold(op: str, *values: float) -> float:
    """Computes a node of constants as a backend would: infinities and NaN are values."""
    with np.errstate(all="ignore"):
        return float(_FOLD[op](*map(np.float64, values)))


# f'(u) of each unary op, from the node f(u) itself and its operand u.
_UNARY_DERIVATIVES: dict[str, Callable[[Expression, Expression], Expression]] = {
    "neg": lambda f, u: Constant(-1.0),
    "exp": lambda f, u: f,
    "log": lambda f, u: 1.0 / u,
    "sqrt": lambda f, u: 0.5 / f,
    "tanh": lambda f, u: 1.0 - f * f,
    "sigmoid": lambda f, u: f * (1.0 - f),
    "abs": lambda f, u: _unary("sign", u),
    "sign": lambda f, u: Constant(0.0),
    "step": lambda f, u: Constant(0.0),
}


def _binary_derivative(node: Binary, dleft: Expression, dright: Expression) -> Expression:
    left, right = node.left, node.right
    match node.op:
        case "add":
            return dleft + dright
        case "sub":
            return dleft - dright
        case "mul":
            return dleft * right + left * dright
        case "div":
            return dleft / right - node / right * dright
        case "maximum":
            larger = _unary("step", left - right)
            return larger * dleft + (1.0 - larger) * dright
        case _:  # minimum
            smaller = _unary("step", right - left)
            return smaller * dleft + (1.0 - smaller) * dright


def constant(value: float) -> Expression:
    """A fixed number."""
    return Constant(value)


def coefficient(name: str, initial: float) -> Expression:
    """A learnable value for each channel, which starts at `initial` and becomes a parameter of the model."""
    return Coefficient(name, initial)


def exp(x: Expression) -> Expression:
    """e to the power of x."""
    return _unary("exp", x)


def log(x: Expression) -> Expression:
    """Natural logarithm."""
    return _unary("log", x)


def sqrt(x: Expression) -> Expression:
    """Square root."""
    return _unary("sqrt", x)


def tanh(x: Expression) -> Expression:
    """Hyperbolic tangent."""
    return _unary("tanh", x)


def sigmoid(x: Expression) -> Expression:
    """1 / (1 + exp(-x))."""
    return _unary("sigmoid", x)


def absolute(x: Expression) -> Expression:
    """|x|."""
    return _unary("abs", x)


def square(x: Expression) -> Expression:
    """x times x."""
    return x * x


def maximum(a: Expression | float, b: Expression | float) -> Expression:
    """The larger of two values."""
    return _binary("maximum", _lift(a), _lift(b))


def minimum(a: Expression | float, b: Expression | float) -> Expression:
    """The smaller of two values."""
    return _binary("minimum", _lift(a), _lift(b))
