"""Stable sorting of integers: chunks by themselves, then every element finds its place among those of other chunks.

An element's place is the number of those before it, so nothing depends on the order in which invocations run.
"""

from alpha_helios.grid import linear_group
from alpha_helios.kernels import math
from alpha_helios.kernels.access import Elements, elements
from alpha_helios.kernels.elementwise import unravelled
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.types import i32, i64
from alpha_helios.spirv.value import Number, Value

__all__ = ["CHUNK", "first_above", "merge_chunks", "order_of_number", "sort_chunks"]

CHUNK = 2048
"""Elements that a workgroup sorts."""


def sort_chunks(k: Kernel, *, stored: str) -> None:
    """keys, places = the chunks of each row of x sorted: integers ascending, numbers descending and NaN last.

    Equal ones keep their order; places count from the beginning of the row. Arguments: keys, places; x; rows, width,
    chunks of a row. Grid: a workgroup for each chunk.
    """
    keys, places, x = k.pointer(i32), k.pointer(i32), elements(k, stored, readonly=True)
    rows, width, chunks = k.integer(), k.integer(), k.integer()
    group = linear_group(k)
    shared = k.shared(i32, CHUNK)
    with k.if_(group < rows * chunks):
        row, chunk = unravelled(group, [chunks])
        base = k.convert(row, i64) * k.convert(width, i64) + k.convert(chunk * CHUNK, i64)
        count = k.minimum(width - chunk * CHUNK, CHUNK)
        source = x + base
        with k.range_(k.local_index, count, k.invocations) as index:
            shared[index] = _key(k, source, index)
        k.barrier()
        many = CHUNK // k.invocations
        own = [k.minimum(k.local_index + k.invocations * slot, count - 1) for slot in range(many)]
        mine = [shared[index] for index in own]
        ranks = [k.variable(k.constant(i32, 0)) for _ in range(many)]
        with k.range_(0, count) as other:
            key = shared[other]
            for index, number, rank in zip(own, mine, ranks, strict=True):
                before = (key < number) | ((key == number) & (other < index))
                rank.value = rank.value + k.select(before, k.constant(i32, 1), 0)
        for slot, (number, rank) in enumerate(zip(mine, ranks, strict=True)):
            index = k.local_index + k.invocations * slot
            with k.if_(index < count):
                target = base + k.convert(rank.value, i64)
                keys[target] = number
                places[target] = chunk * CHUNK + index


def merge_chunks(k: Kernel, *, stored: str) -> None:
    """The first `size` of each row in order, from sorted chunks. With `stored` the numbers themselves, else the keys.

    Arguments: values (rows, size), indices (rows, size); keys, places, and x if `stored`; rows, width, chunks of a row,
    size. Grid: an invocation for each element.
    """
    values = elements(k, stored or "i32")
    indices, keys, places = k.pointer(i32), k.pointer(i32, readonly=True), k.pointer(i32, readonly=True)
    x = elements(k, stored, readonly=True) if stored else None
    rows, width, chunks, size = k.integer(), k.integer(), k.integer(), k.integer()
    item = k.convert(linear_group(k), i64) * k.invocations + k.convert(k.local_index, i64)
    wide = k.convert(width, i64)
    with k.if_(item < k.convert(rows, i64) * wide):
        row = k.divide_unsigned(item, wide)
        base = row * wide
        position = k.convert(item - base, i32)
        chunk = position // CHUNK
        sorted_ = keys + base
        key = sorted_[position]
        rank = k.variable(position - chunk * CHUNK)
        with k.range_(0, chunks) as other:
            start = other * CHUNK
            # Of equal ones, all of an earlier chunk come before this one, and none of a later.
            bound = k.select(other < chunk, key, key - 1)
            found = first_above(k, sorted_, start, k.minimum(start + CHUNK, width), bound)
            # Nothing lies below the least number, where `key - 1` would wrap around.
            least = (other > chunk) & (key == -(2**31))
            before = k.select((other == chunk) | least, k.constant(i32, 0), found - start)
            rank.value = rank.value + before
        with k.if_(rank.value < size):
            target = row * k.convert(size, i64) + k.convert(rank.value, i64)
            place = places[item]
            indices[target] = place
            values[target] = key if x is None else x[base + k.convert(place, i64)]


def first_above(k: Kernel, keys: Pointer, start: Number, end: Value, bound: Value) -> Value:
    """Returns the first place in start ... end whose key is above `bound`, of keys that ascend; `end` if none is."""
    low, high = k.variable(start, i32), k.variable(end)
    with k.while_(lambda: low.value < high.value):
        middle = low.value + ((high.value - low.value) >> 1)
        above = keys[middle] > bound
        high.value = k.select(above, middle, high.value)
        low.value = k.select(above, low.value, middle + 1)
    return low.value


def order_of_number(k: Kernel, x: Value) -> Value:
    """`math.order`, in which both zeros are equal."""
    key = math.order(k, x)
    return k.select(key == -1, 0, key)  # the bits of -0 are ordered right below those of 0


def _key(k: Kernel, source: Elements, index: Value) -> Value:
    """An i32 that ascends as elements are to be sorted."""
    value = source[index]
    if source.stored == "i32":
        return value
    return k.select(math.is_nan(k, value), 2**31 - 1, ~order_of_number(k, value))
