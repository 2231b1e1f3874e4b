"""Softmax and log-softmax of rows, and their gradients."""

from collections.abc import Sequence
from functools import reduce

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import Elements, elements
from alpha_helios.kernels.math import exp, is_nan, log, reciprocal
from alpha_helios.kernels.rows import Look, Part, Row
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i64
from alpha_helios.spirv.value import Value

__all__ = ["decay", "log_softmax", "log_softmax_grad", "shifted_sum", "softmax", "softmax_grad"]

_LEAST = -3.4028234663852886e38
"""Stands for the largest of nothing; unlike -inf it can be subtracted from -inf."""
_UNDERFLOW = -87.33654022216797


def softmax(k: Kernel, *, out: str, x: str, team: int, lanes: int, chunks: int) -> None:
    """out = exp(x - max x) / sum exp(x - max x). Arguments: out, x; rows, width."""
    row, (target, source) = _row(k, [out, x], team, lanes, chunks)
    values = row.held(source)
    largest, total = shifted_sum(row, values)
    share = reciprocal(k, total)
    row.each(lambda i, slot, value: target.store(i, decay(k, value - largest) * share), values)


def softmax_grad(k: Kernel, *, out: str, grad: str, y: str, team: int, lanes: int, chunks: int) -> None:
    """dx = y * (grad - sum(grad * y)). Arguments: dx, grad, y; rows, width."""
    row, (target, gradient, result) = _row(k, [out, grad, y], team, lanes, chunks)
    g, of_y = row.held(gradient), row.held(result)
    (along,) = row.sums(1, lambda slope, share: [slope * share], g, of_y)
    row.each(lambda i, slot, slope, share: target.store(i, share * (slope - along)), g, of_y)


def log_softmax(k: Kernel, *, out: str, x: str, team: int, lanes: int, chunks: int) -> None:
    """out = x - max x - log sum exp(x - max x). Arguments: out, x; rows, width."""
    row, (target, source) = _row(k, [out, x], team, lanes, chunks)
    values = row.held(source)
    largest, total = shifted_sum(row, values)
    rest = log(k, total)
    row.each(lambda i, slot, value: target.store(i, value - largest - rest), values)


def log_softmax_grad(k: Kernel, *, out: str, grad: str, y: str, team: int, lanes: int, chunks: int) -> None:
    """dx = grad - exp(y) * sum(grad). Arguments: dx, grad, y; rows, width."""
    row, (target, gradient, result) = _row(k, [out, grad, y], team, lanes, chunks)
    g = row.held(gradient)
    (total,) = row.sums(1, lambda slope: [slope], g)

    def write(i: Value, slot: int, slope: Value, logarithm: Value) -> None:
        target.store(i, k.fma(-exp(k, logarithm), total, slope))

    row.each(write, g, row.read(result))


def shifted_sum(row: Row, x: Look) -> tuple[Value, Value]:
    """Returns the largest number of a row and the sum of exp(x - largest), in one pass.

    NaN or an infinite largest number gives a sum that is NaN; nothing but -inf a sum of 0.
    """
    k = row.k
    largest, total = k.variable(_LEAST, f32), row.registers(1)[0]

    def loaded(parts: Sequence[Part]) -> list[Value]:
        return [x(index, slot) for index, slot in parts]

    def compare(vectors: Sequence[Value]) -> None:
        largest.value = reduce(k.maximum, map(k.horizontal_max, vectors), largest.value)

    def add(vectors: Sequence[Value]) -> None:
        level = largest.value
        total.value = reduce(lambda sum_, vector: sum_ + decay(k, vector - level), vectors, total.value)

    def compare_and_add(parts: Sequence[Part]) -> None:
        vectors, before = loaded(parts), largest.value
        compare(vectors)
        total.value = total.value * decay(k, before - largest.value)
        add(vectors)

    if row.chunks:
        row.blocks(lambda parts: compare(loaded(parts)))
        (largest.value,) = row.team.max(largest.value)
        row.blocks(lambda parts: add(loaded(parts)))
        (whole,) = row.team.sum(k.horizontal_sum(total.value))
        return largest.value, whole
    row.blocks(compare_and_add)
    (highest,) = row.team.max(largest.value)
    (whole,) = row.team.sum(k.horizontal_sum(total.value) * decay(k, largest.value - highest))
    return highest, whole


def decay(k: Kernel, x: Value) -> Value:
    """e^x of numbers up to 0 with the device's function, and 0 below 2^-126; NaN stays NaN."""
    return k.select(is_nan(k, x), x, k.select(x < _UNDERFLOW, 0.0, k.exp(x)))


def _row(k: Kernel, stored: Sequence[str], team: int, lanes: int, chunks: int) -> tuple[Row, list[Elements]]:
    """Takes the arguments: contiguous arrays of equal shape, the first one written, then rows and width."""
    arrays = [elements(k, dtype, readonly=place > 0) for place, dtype in enumerate(stored)]
    count, width = k.integer(), k.integer()
    members = Team(k, team)
    index = linear_group(k) * members.count + members.index
    start = k.convert(index, i64) * k.convert(width, i64)
    return Row(members, k.select(index < count, width, 0), lanes, chunks), [array + start for array in arrays]
