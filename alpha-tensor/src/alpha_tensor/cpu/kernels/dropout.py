"""Dropout: masks from counters, made where they are used."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.philox import consecutive_words
from alpha_tensor.cpu.kernels.rows import segments
from alpha_tensor.cpu.llvm.types import f32, i32, vector
from alpha_tensor.cpu.llvm.value import Value

__all__ = ["dropout"]


def dropout(k: Kernel, masked: bool) -> None:
    """out = x * mask if `masked`, else the mask: `scale` where a word is at least `threshold`, else 0.

    `rows` (i32) holds the numbers of the rows, `step` (i32) the step; a row has `width` elements.
    """
    out = k.pointer()
    x = k.pointer() if masked else None
    rows, step = k.pointer(i32), k.pointer(i32)
    count, width, stream, key0, key1, threshold = (k.integer() for _ in range(6))
    scale = k.number()
    stream, key0, key1, threshold = (k.convert(word, i32) for word in (stream, key0, key1, threshold))
    lanes = k.target.lanes
    zero, kept = k.constant(vector(f32, lanes), 0), k.splat(scale, lanes)
    with segments(k, count, width) as (row, start, stop):
        number, base = rows[row], row * width

        def write(index: Value, words: Value, mask: Value | None) -> None:
            value = k.select(k.below(words, threshold), zero, kept)
            out.store(base + index, value if x is None else value * x.load(base + index, lanes, mask), mask)

        whole = start + (stop - start) // (2 * lanes) * (2 * lanes)
        with k.range_(start, whole, 2 * lanes) as index:
            for half, words in enumerate(consecutive_words(k, lanes, index // 4, number, step[0], stream, key0, key1)):
                write(index + half * lanes, words, None)
        with k.if_(whole < stop):
            left = k.convert(stop - whole, i32)
            for half, words in enumerate(consecutive_words(k, lanes, whole // 4, number, step[0], stream, key0, key1)):
                write(whole + half * lanes, words, k.iota(i32, lanes) < k.splat(left - half * lanes, lanes))
