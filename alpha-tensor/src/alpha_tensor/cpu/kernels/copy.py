"""Moving elements without computing: filling, joining, and transposing in tiles."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.cast import STORED
from alpha_tensor.cpu.llvm.types import i32, i64
from alpha_tensor.cpu.llvm.value import Pointer, Value

__all__ = ["fill", "join", "transpose"]

_GRAIN = 1024
_BAND = 2  # tiles side by side, so that a row of the source is read in more than one piece at a time


def fill(k: Kernel, type_: str) -> None:
    """Writes one element everywhere. Arguments: the result; its length, the element's bits."""
    target, count = k.pointer(STORED[type_]), k.integer()
    element, lanes = k.convert(k.integer(), STORED[type_]), k.target.lanes
    many = k.splat(element, lanes)
    with k.share(count, _GRAIN) as (start, stop):
        whole = start + k.maximum(stop - start, 0) // lanes * lanes
        with k.range_(start, whole, lanes) as index:
            target.store(index, many)
        with k.range_(whole, stop) as index:
            target[index] = element


def join(k: Kernel, type_: str, pieces: str) -> None:
    """Puts the rows of several matrices side by side.

    `pieces` has a letter for each: `x` for one that is given, `0` for zeros. Arguments: the result, the matrices; the
    number of rows, the width of each piece, and from one row to the next in each matrix.
    """
    target = k.pointer(STORED[type_])
    sources = [k.pointer(STORED[type_]) if piece == "x" else None for piece in pieces]
    rows = k.integer()
    widths = [k.integer() for _ in pieces]
    steps = [k.integer() if source is not None else None for source in sources]
    starts, total = [], k.constant(i64, 0)
    for width in widths:
        starts.append(total)
        total = total + width
    with k.share(rows) as (first, last), k.range_(first, last) as row:
        for source, step, start, width in zip(sources, steps, starts, widths, strict=True):
            place = target + (row * total + start)
            _copy_run(k, place, None if source is None or step is None else source + row * step, width)


def _copy_run(k: Kernel, target: Pointer, source: Pointer | None, count: Value) -> None:
    """Copies neighbours, or writes zeros if there is no source."""
    lanes, element = k.target.lanes, target.element
    zero = k.constant(element, 0)
    whole = count // lanes * lanes
    with k.range_(0, whole, lanes) as index:
        target.store(index, k.splat(zero, lanes) if source is None else source.load(index, lanes))
    with k.range_(whole, count) as index:
        target[index] = zero if source is None else source[index]


def transpose(k: Kernel, outer: int) -> None:
    """result[o..., i, j] = x[o..., j, i] for 4-byte elements: square tiles are turned within registers.

    Arguments: the result, x; then the lengths of the `outer` axes, and the steps of the result and of x along them; of
    axis i, along which x is contiguous, the length and the step of the result; of axis j, along which the result is
    contiguous, the length and the step of x.
    """
    target, source = k.pointer(i32), k.pointer(i32)
    lengths, target_steps, source_steps = ([k.integer() for _ in range(outer)] for _ in range(3))
    height, target_step, width, source_step = (k.integer() for _ in range(4))
    lanes = k.target.lanes
    band = _BAND * lanes
    bands = (height + (band - 1)) // band
    items = bands
    for length in lengths:
        items = items * length
    whole = width // lanes * lanes
    with k.share(items) as (first, last), k.range_(first, last) as item:
        top = item % bands * band
        bottom = k.minimum(top + band, height)
        place = item // bands
        to, of = target, source
        for length, down, across in reversed(list(zip(lengths, target_steps, source_steps, strict=True))):
            index = place % length
            place = place // length
            to, of = to + index * down, of + index * across
        tiled = top + (bottom - top) // lanes * lanes
        with k.range_(0, whole, lanes) as j, k.range_(top, tiled, lanes) as i:
            columns = [of.load((j + number) * source_step + i, lanes) for number in range(lanes)]
            for number, row in enumerate(_turned(k, columns)):
                to.store((i + number) * target_step + j, row)
        # What fills no tile: the last columns, and the last rows.
        for rows, columns_ in (((top, tiled), (whole, width)), ((tiled, bottom), (k.constant(i64, 0), width))):
            with k.range_(*rows) as i, k.range_(*columns_) as j:
                to[i * target_step + j] = of[j * source_step + i]


def _turned(k: Kernel, rows: list[Value]) -> list[Value]:
    """Transposes a square of registers: blocks of 1, 2, 4, ... are exchanged across the diagonal."""
    size, block = len(rows), 1
    while block < size:
        for upper in range(size):
            if upper & block:
                continue
            a, b = rows[upper], rows[upper + block]
            rows[upper] = k.shuffle(a, b, [size + n - block if n & block else n for n in range(size)])
            rows[upper + block] = k.shuffle(a, b, [size + n if n & block else n + block for n in range(size)])
        block *= 2
    return rows
