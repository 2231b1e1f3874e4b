"""One generator for all elementwise ops: any number of operands, each walked with its own strides."""

from collections.abc import Callable, Sequence

from alpha_helios.grid import linear_group
from alpha_helios.kernels import math
from alpha_helios.kernels.access import elements
from alpha_helios.kernels.cast import cast, is_true
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import Type, i64
from alpha_helios.spirv.value import Number, Value

__all__ = ["FLAT", "NUMBER", "REPEATED", "TARGET", "elementwise", "invocation", "offset", "unravelled"]

FLAT, NUMBER, REPEATED, TARGET = "flat", "number", "repeated", "target"
"""How an operand is read: like the result, element by element; it is a plain number; it is one element; or it is what
stood in the result before. Every other operand has a letter for each axis: `0` where it is repeated, `1` where its
elements are neighbours, `s` where its stride is an argument."""
_WITHOUT_STEPS = (FLAT, NUMBER, REPEATED, TARGET)


def elementwise(
    k: Kernel, *, op: str, types: tuple[str, ...], forms: tuple[str, ...], rank: int, lanes: int, wide: bool
) -> None:
    """result[i] = op(operands[i]...), where the result is contiguous.

    `types` are dtypes by name, of the result and of the operands; `forms` say how the operands are read. Each
    invocation makes `lanes` neighbours; if there are axes (`rank`), the innermost length is a multiple of it, and so
    are all strides that are not 0 or 1. `wide` counts in i64. Arguments: the result, the tensors; how many elements;
    all lengths but the outermost's; the strides of each tensor marked `s`; numbers. Grid: an invocation for every
    `lanes` elements.
    """
    integer = k.long if wide else k.integer
    result = elements(k, types[0])
    given = list(zip(forms, types[1:], strict=True))
    sources = [elements(k, type_, readonly=True) if f not in (NUMBER, TARGET) else None for f, type_ in given]
    count = integer()
    lengths = [integer() for _ in range(rank - 1)]
    steps: list[list[Number]] = [
        [] if form in _WITHOUT_STEPS else [integer() if mark == "s" else int(mark) for mark in form] for form in forms
    ]
    numbers = [_number(k, types[0]) if form == NUMBER else None for form in forms]

    first = invocation(k, wide) * lanes
    place = unravelled(first, lengths) if rank else []

    def operand(position: int, index: Value, many: int) -> Value:
        source, number = sources[position], numbers[position]
        if number is not None:
            return number
        if forms[position] in (FLAT, TARGET):
            return (source or result).load(index, many)
        assert source is not None
        if forms[position] == REPEATED:
            return source.load()
        there = source + offset(place, steps[position])
        return there.load(0, many if forms[position][-1] == "1" else 0)

    def compute(index: Value, many: int) -> None:
        values = [operand(position, index, many) for position in range(len(forms))]
        outcome = _applied(k, op, types, values)
        result.store(index, k.lift(outcome, result.computed) if many < 2 else _spread(k, outcome, many))

    if lanes == 1 or rank:
        with k.if_(first < count):
            compute(first, lanes)
        return
    with k.if_(first + (lanes - 1) < count) as branch:
        compute(first, lanes)
    with branch.else_(), k.range_(first, count) as index:
        compute(index, 0)


def invocation(k: Kernel, wide: bool) -> Value:
    """The number of an invocation in a grid of `alpha_helios.grid`, in i64 if `wide`."""
    group, local = linear_group(k), k.local_index
    return k.convert(group, i64) * k.invocations + k.convert(local, i64) if wide else group * k.invocations + local


def unravelled(index: Value, lengths: Sequence[Value]) -> list[Value]:
    """The place of an element along each axis; `lengths` are those of all axes but the outermost."""
    place: list[Value] = []
    for length in reversed(lengths):
        place.append(index.kernel.remainder_unsigned(index, length))
        index = index.kernel.divide_unsigned(index, length)
    return [index, *reversed(place)]


def offset(place: Sequence[Value], steps: Sequence[Number]) -> Number:
    """How many elements lie before a place, with a stride for each axis; plain numbers are known strides."""
    total: Number = 0
    for index, step in zip(place, steps, strict=True):
        if isinstance(step, int) and step == 0:
            continue
        moved = index if isinstance(step, int) and step == 1 else index * step
        total = moved if isinstance(total, int) else total + moved
    return total


def _applied(k: Kernel, op: str, types: tuple[str, ...], values: list[Value]) -> Value:
    if op == "cast":
        return cast(k, values[0], types[1], types[0])
    if op == "where":
        return k.select(is_true(k, values[0], types[1]), values[1], values[2])
    return _OPS[op](k, *values)


def _spread(k: Kernel, value: Value, lanes: int) -> Value:
    return value if value.type.lanes else k.splat(value, lanes)


def _truth(k: Kernel, condition: Value, type_: Type) -> Value:
    return k.select(condition, k.constant(type_.scalar, 1), 0)


def _clamp(k: Kernel, x: Value, low: Value, high: Value) -> Value:
    limited = k.select(x < low, low, x)
    return k.select(limited > high, high, limited)


def _clip_coefficient(k: Kernel, norm: Value, limit: Value) -> Value:
    return math.smaller(k, math.divide(k, limit, math.larger(k, norm, 1e-30)), 1.0)


_OPS: dict[str, Callable[..., Value]] = {
    "copy": lambda k, x: x,
    "add": lambda k, a, b: a + b,
    "sub": lambda k, a, b: a - b,
    "mul": lambda k, a, b: a * b,
    "div": math.divide,
    "maximum": math.larger,
    "minimum": math.smaller,
    "greater": lambda k, a, b: _truth(k, a > b, a.type),
    "equal": lambda k, a, b: _truth(k, a == b, a.type),
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.root,
    "tanh": math.tanh,
    "sigmoid": math.sigmoid,
    "sign": math.sign,
    "neg": lambda k, x: -x,
    "abs": lambda k, x: k.absolute(x),
    "square": lambda k, x: x * x,
    "step": lambda k, x: _truth(k, x > 0, x.type),
    "clamp": _clamp,
    "clamp_grad": lambda k, grad, x, low, high: k.select((x > low) & (x < high), grad, 0.0),
    "clip_coefficient": _clip_coefficient,
}


def _number(k: Kernel, dtype: str) -> Value:
    return k.integer() if dtype in ("i32", "i8") else k.number()
