"""Dropout: masks from counters, made where they are used."""

from alpha_helios.kernels.access import elements, rounded
from alpha_helios.kernels.elementwise import invocation, unravelled
from alpha_helios.kernels.random import philox4x32
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import i32
from alpha_helios.spirv.value import Value

__all__ = ["dropout"]


def dropout(k: Kernel, *, types: tuple[str, str, str], between: str, lanes: int, wide: bool) -> None:
    """out = mask, x * mask or x * mask + addend; mask is `scale` where a word is at least `threshold`, else 0.

    `types` are dtypes by name, of out, x and addend; empty where there is none. The product is rounded to `between`
    before anything is added. With `lanes` 4 the width and all places are multiples of it, else `lanes` is 1. Arguments:
    out; x, addend, numbers of the rows, step; blocks of 4 elements in all, blocks of a row, width; stream, lower and
    upper half of the seed, threshold, scale. Grid: an invocation for each block.
    """
    integer = k.long if wide else k.integer
    out = elements(k, types[0])
    x, addend = (elements(k, type_, readonly=True) if type_ else None for type_ in types[1:])
    rows, step = k.pointer(i32, readonly=True), k.pointer(i32, readonly=True)
    count, blocks, width = integer(), integer(), integer()
    stream, key, threshold, scale = k.integer(), (k.integer(), k.integer()), k.integer(), k.number()

    item = invocation(k, wide)
    with k.if_(item < count):
        row, block = unravelled(item, [blocks])
        words = philox4x32(k, (k.convert(block, i32), rows[row], step[0], stream), key)
        masks = [k.select(k.below(word, threshold), 0.0, scale) for word in words]
        first, base = block * 4, row * width

        def write(index: Value, mask: Value) -> None:
            value = mask if x is None else rounded(k, mask * x.load(base + index, lanes), between)
            out.store(base + index, value if addend is None else value + addend.load(base + index, lanes))

        if lanes == 4:
            write(first, k.vector(*masks))
            return
        for lane, mask in enumerate(masks):
            with k.if_(first + lane < width):
                write(first + lane, mask)
