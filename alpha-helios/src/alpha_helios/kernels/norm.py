"""Layer norm and RMS norm of rows, and their gradients."""

from collections.abc import Callable

from alpha_helios.grid import linear_group
from alpha_helios.kernels.access import Elements, elements
from alpha_helios.kernels.columns import store_sums
from alpha_helios.kernels.math import divide, reciprocal, root
from alpha_helios.kernels.rows import Look, Row, RowPlaces
from alpha_helios.kernels.teams import Team
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import f32, i64, vector
from alpha_helios.spirv.value import Value

__all__ = ["norm", "norm_columns", "norm_grad", "norm_grad_rows"]


def norm(
    k: Kernel,
    *,
    out: str,
    x: str,
    weight: str,
    bias: str | None,
    centred: bool,
    strided: bool,
    team: int,
    lanes: int,
    chunks: int,
) -> None:
    """out = (x - mean) / sqrt(mean of squares + eps) * weight + bias; the mean is 0 unless `centred`.

    Arguments: out, x, weight, bias if there is one; rows, width, eps, then where the rows of x are. A team takes a row.
    """
    target, source, scale = elements(k, out), elements(k, x, readonly=True), elements(k, weight, readonly=True)
    shift = elements(k, bias, readonly=True) if bias else None
    count, width, eps = k.integer(), k.integer(), k.number()
    places = RowPlaces(k, source, strided)
    members = Team(k, team)
    index = linear_group(k) * members.count + members.index
    row = Row(members, k.select(index < count, width, 0), lanes, chunks)
    held = row.held(places[index])
    mean, factor = _statistics(row, held, width, eps, centred)
    to_row = target + k.convert(index, i64) * k.convert(width, i64)

    def write(i: Value, slot: int, value: Value, w: Value, b: Value | None = None) -> None:
        scaled = _moved(value, mean) * factor
        to_row.store(i, scaled * w if b is None else k.fma(scaled, w, b))

    row.each(write, held, row.read(scale), *([row.read(shift)] if shift else []))


def norm_grad(
    k: Kernel,
    *,
    dx: str,
    grad: str,
    x: str,
    weight: str,
    centred: bool,
    strided: bool,
    team: int,
    lanes: int,
    chunks: int,
) -> None:
    """The gradient for x, and for each block of rows the sums for weight (and, `centred`, for bias).

    With n = (x - mean) * r and g = grad * weight: dx = r * (g - mean(g) - n * mean(g * n)), mean(g) if `centred`.

    Arguments: dx, partial sums (blocks, 1 or 2, width) in f32, grad, x, weight; rows, width, rows of a block, eps, then
    where the rows of grad and of x are. A workgroup takes a block; rows lie in registers, so `chunks` is not 0.
    """
    target, partial = elements(k, dx), k.pointer()
    gradient, source = elements(k, grad, readonly=True), elements(k, x, readonly=True)
    scale = elements(k, weight, readonly=True)
    count, width, block, eps = k.integer(), k.integer(), k.integer(), k.number()
    gradient_places, source_places = RowPlaces(k, gradient, strided), RowPlaces(k, source, strided)
    members = Team(k, team)
    group = linear_group(k)
    all_columns = Row(members, width, lanes, chunks)
    weights = all_columns.held(scale)
    sums = [all_columns.registers(chunks) for _ in range(2 if centred else 1)]
    first = group * block
    last = k.minimum(first + block, count)
    with k.range_(first, last, members.count) as start:
        index = start + members.index
        row = Row(members, k.select(index < last, width, 0), lanes, chunks)
        grads, held = row.held(gradient_places[index]), row.held(source_places[index])
        to_row = target + k.convert(index, i64) * k.convert(width, i64)

        def add(i: Value, slot: int, g: Value, n: Value) -> None:
            sums[0][slot].value = k.fma(g, n, sums[0][slot].value)
            if centred:
                sums[1][slot].value = sums[1][slot].value + g

        _row_gradient(row, to_row, grads, held, weights, width, eps, centred, add)
    columns = [(members.lane + slot * members.size) * lanes for slot in range(chunks)]
    span = members.size * chunks * lanes
    to_block = partial + k.convert(group, i64) * k.convert(width * len(sums), i64)
    with k.if_(first < count):
        store_sums(k, to_block, sums, columns, members.index, members.count, span, width, width)


def norm_grad_rows(
    k: Kernel,
    *,
    dx: str,
    grad: str,
    x: str,
    weight: str,
    centred: bool,
    strided: bool,
    team: int,
    lanes: int,
) -> None:
    """The gradient for x of rows that are too long for registers, and the mean (0 unless `centred`) and r of each.

    Arguments: dx, the statistics (rows, 2) in f32, grad, x, weight; rows, width, eps, then where the rows of grad and
    of x are. A team takes a row.
    """
    target, statistics = elements(k, dx), k.pointer()
    gradient, source = elements(k, grad, readonly=True), elements(k, x, readonly=True)
    scale = elements(k, weight, readonly=True)
    count, width, eps = k.integer(), k.integer(), k.number()
    gradient_places, source_places = RowPlaces(k, gradient, strided), RowPlaces(k, source, strided)
    members = Team(k, team)
    index = linear_group(k) * members.count + members.index
    row = Row(members, k.select(index < count, width, 0), lanes, 0)
    grads, held, weights = (row.held(place) for place in (gradient_places[index], source_places[index], scale))
    to_row = target + k.convert(index, i64) * k.convert(width, i64)
    mean, factor = _row_gradient(row, to_row, grads, held, weights, width, eps, centred, lambda i, slot, g, n: None)
    with k.if_((members.lane == 0) & (index < count)):
        statistics[index * 2] = 0.0 if mean is None else mean
        statistics[index * 2 + 1] = factor


def norm_columns(k: Kernel, *, grad: str, x: str, centred: bool, strided: bool, lanes: int) -> None:
    """The sums for weight (and, `centred`, for bias) of each block of rows, from the statistics of `norm_grad_rows`.

    Arguments: partial sums (blocks, 1 or 2, width) in f32, grad, x, statistics; rows, width, rows of a block, then
    where the rows of grad and of x are. Workgroups (x, y) take x vectors of columns of a block: (columns, blocks).
    """
    partial = k.pointer()
    gradient, source = elements(k, grad, readonly=True), elements(k, x, readonly=True)
    statistics = k.pointer(readonly=True)
    count, width, block = k.integer(), k.integer(), k.integer()
    gradient_places, source_places = RowPlaces(k, gradient, strided), RowPlaces(k, source, strided)
    across, down, _ = k.workgroup
    span = across * lanes
    begin = k.group(0) * span
    column = k.local(0) * lanes
    sums = [[k.variable(0.0, vector(f32, lanes))] for _ in range(2 if centred else 1)]
    first = k.group(1) * block
    with (
        k.if_(begin + column < width),
        k.range_(first + k.local(1), k.minimum(first + block, count), down) as index,
    ):
        g, moved = (places[index].load(begin + column, lanes) for places in (gradient_places, source_places))
        n = (moved - statistics[index * 2]) * statistics[index * 2 + 1]
        sums[0][0].value = k.fma(g, n, sums[0][0].value)
        if centred:
            sums[1][0].value = sums[1][0].value + g
    to_block = partial + (k.convert(k.group(1), i64) * k.convert(width * len(sums), i64) + k.convert(begin, i64))
    store_sums(k, to_block, sums, [column], k.local(1), down, span, width - begin, width)


def _row_gradient(
    row: Row,
    target: Elements,
    grad: Look,
    x: Look,
    weight: Look,
    width: Value,
    eps: Value,
    centred: bool,
    add: Callable[[Value, int, Value, Value], None],
) -> tuple[Value | None, Value]:
    """Writes the gradient for a row and calls `add(index, slot, grad, n)`; returns the row's mean and r."""
    k = row.k
    length = k.convert(width, f32)
    mean = divide(k, row.sums(1, lambda value: [value], x)[0], length) if centred else None

    def terms(value: Value, g: Value, w: Value) -> list[Value]:
        moved, scaled = _moved(value, mean), g * w
        return [moved * moved, scaled * moved, *([scaled] if centred else [])]

    squares, along, *plain = row.sums(3 if centred else 2, terms, x, grad, weight)
    factor = reciprocal(k, root(k, divide(k, squares, length) + eps))
    slope = divide(k, along, length) * factor  # mean(g * n)
    level = divide(k, plain[0], length) if centred else None

    def write(i: Value, slot: int, value: Value, g: Value, w: Value) -> None:
        n = _moved(value, mean) * factor
        scaled = _moved(g * w, level)
        target.store(i, (scaled - n * slope) * factor)
        add(i, slot, g, n)

    row.each(write, x, grad, weight)
    return mean, factor


def _statistics(row: Row, x: Look, width: Value, eps: Value, centred: bool) -> tuple[Value | None, Value]:
    """Returns the mean of a row, if it is `centred`, and 1 / sqrt(mean of squares + eps)."""
    k = row.k
    length = k.convert(width, f32)
    mean = divide(k, row.sums(1, lambda value: [value], x)[0], length) if centred else None

    def square(value: Value) -> list[Value]:
        moved = _moved(value, mean)
        return [moved * moved]

    (squares,) = row.sums(1, square, x)
    return mean, reciprocal(k, root(k, divide(k, squares, length) + eps))


def _moved(value: Value, mean: Value | None) -> Value:
    return value if mean is None else value - mean
