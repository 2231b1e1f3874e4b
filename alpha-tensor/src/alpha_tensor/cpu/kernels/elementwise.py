"""One generator for all elementwise ops: any number of operands, each walked with its own strides."""

from collections.abc import Callable, Sequence

from alpha_core.dtype import DType
from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.cast import STORED, cast
from alpha_tensor.cpu.llvm import math
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import Type, i1, i64, pointer, vector
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

__all__ = ["CONTIGUOUS", "NUMBER", "REPEATED", "STRIDED", "TARGET", "elementwise", "larger", "smaller"]

CONTIGUOUS, REPEATED, STRIDED, NUMBER, TARGET = "c", "r", "s", "n", "t"
"""How an operand goes along the innermost axis: element by element, not at all, in steps; or it is a plain number; or
what stood in the result before."""

_UNROLLED = 4  # vectors that are worked on at once, so that one need not wait for another
_GRAIN = 1024  # elements: threads share no cache line, and tiny tensors are not split


def elementwise(k: Kernel, op: str, types: tuple[str, ...], forms: str, outer: int) -> None:
    """result[i] = op(operands[i]...), where the result is contiguous, over `outer` axes around the innermost one.

    `types` are dtypes by name, of the result and of the operands; `forms` has a letter for each operand.
    Arguments: the result, the tensors; then whether threads share rows (else columns), the lengths of all axes from
    the outermost, the strides of each tensor along the outer axes, and along the innermost if `STRIDED`; then numbers.
    """
    result = k.pointer(STORED[types[0]])
    sources = [k.pointer(STORED[t]) if form not in (NUMBER, TARGET) else None for t, form in _pairs(types, forms)]
    by_rows = k.integer() != 0
    lengths = [k.integer() for _ in range(outer)]
    count = k.integer()
    walks: list[tuple[list[Value], Value | None]] = []
    for form, source in zip(forms, sources, strict=True):
        steps = [k.integer() for _ in range(outer)] if source is not None else []
        walks.append((steps, k.integer() if form == STRIDED else None))
    numbers = [_number(k, STORED[t]) if form == NUMBER else None for t, form in _pairs(types, forms)]

    rows = k.constant(i64, 1)
    for length in lengths:
        rows = rows * length
    everything, nothing = k.constant(i64, 1), k.constant(i64, 0)
    first_row, last_row = _share(k, rows, 1, k.select(by_rows, k.part, nothing), k.select(by_rows, k.parts, everything))
    start, stop = _share(k, count, _GRAIN, k.select(by_rows, nothing, k.part), k.select(by_rows, everything, k.parts))
    with k.range_(first_row, last_row) as row:
        target = result + row * count
        operands: list[_Operand] = []
        index = _unravel(row, lengths)
        for form, source, number, (steps, step) in zip(forms, sources, numbers, walks, strict=True):
            if number is not None:
                operands.append(_Operand(k, form, None, number, None))
            else:
                at = target if source is None else source + _dot(k, index, steps)
                operands.append(_Operand(k, form, at, at.load(0) if form == REPEATED else None, step))
        _along(k, start, stop, target, operands, lambda values: _apply(k, op, types, values))


class _Operand:
    """One operand of a row."""

    def __init__(self, f: Function, form: str, at: Pointer | None, same: Value | None, step: Value | None) -> None:
        self.f, self.form, self.at, self.same, self.step = f, form, at, same, step

    def load(self, index: Value, lanes: int, mask: Value | None) -> Value:
        if self.same is not None:
            return self.f.splat(self.same, lanes)
        assert self.at is not None
        if self.step is None:
            return self.at.load(index, lanes, mask)
        places = self.f.splat(index * self.step, lanes) + self.f.iota(i64, lanes) * self.f.splat(self.step, lanes)
        return _gather(self.f, self.at, places, mask)


def _along(
    k: Kernel,
    start: Value,
    stop: Value,
    target: Pointer,
    operands: Sequence[_Operand],
    compute: Callable[[list[Value]], Value],
) -> None:
    """Walks one row: several vectors at a time, then one, the last with a mask."""
    lanes = k.target.lanes
    block = _UNROLLED * lanes
    whole = start + k.maximum(stop - start, 0) // block * block
    with k.range_(start, whole, block) as index:
        places = [index + lanes * step for step in range(_UNROLLED)]
        loaded = [[operand.load(place, lanes, None) for operand in operands] for place in places]
        for place, values in zip(places, [compute(values) for values in loaded], strict=True):
            target.store(place, values)
    with k.range_(whole, stop, lanes) as index:
        mask = k.lane_mask(stop - index, lanes)
        target.store(index, compute([operand.load(index, lanes, mask) for operand in operands]), mask)


def _apply(k: Kernel, op: str, types: tuple[str, ...], values: list[Value]) -> Value:
    if op == "cast":
        return cast(k, values[0], DType(types[1]), DType(types[0]))
    if op == "where":
        return k.select(_is_true(k, values[0], types[1]), values[1], values[2])
    return _OPS[op](k, *values)


def _is_true(f: Function, x: Value, dtype: str) -> Value:
    if dtype in ("f16", "bf16"):
        return (x & 0x7FFF) != 0
    return x != 0


def larger(f: Function, a: Value, b: Value) -> Value:
    """The larger of two values, NaN if either is."""
    if not a.type.is_float:
        return f.maximum(a, b)
    return f.select(f.unordered(a, a), a, f.select(a > b, a, b))


def smaller(f: Function, a: Value, b: Value) -> Value:
    """The smaller of two values, NaN if either is."""
    if not a.type.is_float:
        return f.minimum(a, b)
    return f.select(f.unordered(a, a), a, f.select(a < b, a, b))


def _truth(f: Function, condition: Value, type_: Type) -> Value:
    return f.select(condition, f.constant(type_, 1), 0)


def _sign(f: Function, x: Value) -> Value:
    return f.select(x > 0, 1, f.select(x < 0, -1, x))


def _clamp(f: Function, x: Value, low: Value, high: Value) -> Value:
    limited = f.select(x < low, low, x)
    return f.select(limited > high, high, limited)


def _clip_coefficient(f: Function, norm: Value, limit: Value) -> Value:
    return smaller(f, limit / larger(f, norm, f.lift(1e-30, norm.type)), f.lift(1.0, norm.type))


_OPS: dict[str, Callable[..., Value]] = {
    "copy": lambda f, x: x,
    "add": lambda f, a, b: a + b,
    "sub": lambda f, a, b: a - b,
    "mul": lambda f, a, b: a * b,
    "div": lambda f, a, b: a / b,
    "maximum": larger,
    "minimum": smaller,
    "greater": lambda f, a, b: _truth(f, a > b, a.type),
    "equal": lambda f, a, b: _truth(f, a == b, a.type),
    "exp": math.exp,
    "log": math.log,
    "sqrt": lambda f, x: f.sqrt(x),
    "tanh": math.tanh,
    "sigmoid": math.sigmoid,
    "sign": _sign,
    "neg": lambda f, x: -x,
    "abs": lambda f, x: f.absolute(x),
    "square": lambda f, x: x * x,
    "step": lambda f, x: _truth(f, x > 0, x.type),
    "clamp": _clamp,
    "clamp_grad": lambda f, grad, x, low, high: f.select((x > low) & (x < high), grad, 0),
    "clip_coefficient": _clip_coefficient,
}


def _pairs(types: tuple[str, ...], forms: str) -> list[tuple[str, str]]:
    return list(zip(types[1:], forms, strict=True))


def _number(k: Kernel, element: Type) -> Value:
    return k.number(element) if element.is_float else k.convert(k.integer(), element)


def _share(k: Kernel, count: Value, grain: int, part: Value, parts: Value) -> tuple[Value, Value]:
    """Returns the first and the end of one part's share."""
    groups = (count + (grain - 1)) // grain
    stop = (part + 1) * groups // parts * grain
    return part * groups // parts * grain, k.minimum(stop, count)


def _unravel(row: Value, lengths: Sequence[Value]) -> list[Value]:
    """Returns the place along each axis of row number `row`."""
    index: list[Value] = []
    for length in reversed(lengths[1:]):
        index.append(row % length)
        row = row // length
    return [row, *reversed(index)] if lengths else []


def _dot(k: Kernel, index: Sequence[Value], steps: Sequence[Value]) -> Value:
    total = k.constant(i64, 0)
    for place, step in zip(index, steps, strict=True):
        total = total + place * step
    return total


def _gather(f: Function, base: Pointer, places: Value, mask: Value | None) -> Value:
    """Loads elements from anywhere; where the mask is false it reads nothing and gives 0."""
    lanes, element = places.type.lanes, base.element
    addresses = f.emit(vector(pointer, lanes), f"getelementptr {element}, {base.address}, {places}")
    type_, masks = vector(element, lanes), vector(i1, lanes)
    name = f"llvm.masked.gather.{type_.suffix}.{addresses.type.suffix}"
    f.module.declare(f"declare {type_} @{name}({addresses.type}, {masks}, {type_})")
    shown: Number = mask if mask is not None else f.constant(masks, 1)
    where = f"{addresses.type} align {element.nbytes} {addresses.text}"
    return f.emit(type_, f"call {type_} @{name}({where}, {shown}, {f.constant(type_, 0)})")
