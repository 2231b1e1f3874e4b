"""Stable sorting of integers: chunks by themselves, then every element finds its place among those of other chunks.

What is compared are keys together with places, no two of which are equal: so the order is stable, and does not depend
on which invocation runs first.
"""

from alpha_helios.grid import linear_group
from alpha_helios.kernels import math
from alpha_helios.kernels.access import Elements, elements
from alpha_helios.kernels.elementwise import unravelled
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.place import Indexed, Pointer
from alpha_helios.spirv.types import i32, i64
from alpha_helios.spirv.value import Value

__all__ = ["CHUNK", "end_of_run", "first_above", "merge_chunks", "order_of_number", "sort_chunks"]

CHUNK = 2048
"""Elements that a workgroup sorts; together with their places they fill the shared memory that every device has."""
_AT_ONCE = 4  # chunks that are searched at the same time, so that loads do not wait for each other
_LOW = 0xFFFFFFFF


def sort_chunks(k: Kernel, *, stored: str) -> None:
    """keys, places = the chunks of each row of x sorted: integers ascending, numbers descending and NaN last.

    Equal ones keep their order; places count from the beginning of the row. Arguments: keys, places; x; rows, width,
    chunks of a row. Grid: a workgroup for each chunk.
    """
    keys, places, x = k.pointer(i32), k.pointer(i32), elements(k, stored, readonly=True)
    rows, width, chunks = k.integer(), k.integer(), k.integer()
    group = linear_group(k)
    shared = k.shared(i64, CHUNK)
    with k.if_(group < rows * chunks):
        row, chunk = unravelled(group, [chunks])
        base = k.convert(row, i64) * k.convert(width, i64) + k.convert(chunk * CHUNK, i64)
        count = k.minimum(width - chunk * CHUNK, CHUNK)
        source = x + base
        with k.range_(k.local_index, CHUNK, k.invocations) as index:
            pair = k.variable(k.constant(i64, (1 << 63) - 1))  # what is not there comes last
            with k.if_(index < count):
                pair.value = (k.convert(_key(k, source, index), i64) << 32) | k.convert(index, i64)
            shared[index] = pair.value
        _sort(k, shared)
        with k.range_(k.local_index, count, k.invocations) as index:
            pair_ = shared[index]
            target = base + k.convert(index, i64)
            keys[target] = k.convert(pair_ >> 32, i32)
            places[target] = chunk * CHUNK + k.convert(pair_ & _LOW, i32)


def _sort(k: Kernel, shared: Indexed) -> None:
    """Sorts `CHUNK` elements of shared memory, by the network of Batcher (1968), "Sorting networks"."""
    size = k.variable(2, i32)
    with k.while_(lambda: size.value <= CHUNK):
        step = k.variable(size.value >> 1)
        with k.while_(lambda: step.value > 0):
            k.barrier()
            with k.range_(k.local_index, CHUNK // 2, k.invocations) as pair:
                low = ((pair & -step.value) << 1) | (pair & (step.value - 1))
                high = low + step.value
                a, b = shared[low], shared[high]
                turned = (a > b) == ((low & size.value) == 0)
                shared[low], shared[high] = k.select(turned, b, a), k.select(turned, a, b)
            step.value = step.value >> 1
        size.value = size.value << 1
    k.barrier()


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
        with k.if_(rank.value < size), k.range_(0, chunks, _AT_ONCE) as first:
            others = [first + by for by in range(_AT_ONCE)]
            for other, before in zip(others, _before(k, sorted_, width, key, chunk, others), strict=True):
                rank.value = rank.value + k.select(other == chunk, 0, before)
        with k.if_(rank.value < size):
            target = row * k.convert(size, i64) + k.convert(rank.value, i64)
            place = places[item]
            indices[target] = place
            values[target] = key if x is None else x[base + k.convert(place, i64)]


def _before(k: Kernel, keys: Pointer, width: Value, key: Value, chunk: Value, others: list[Value]) -> list[Value]:
    """Returns how many elements of other chunks come before one of `chunk`: of equal ones those of earlier chunks."""
    starts = [k.minimum(other * CHUNK, width) for other in others]
    lows = [k.variable(start) for start in starts]
    highs = [k.variable(k.minimum(start + CHUNK, width)) for start in starts]
    with k.range_(0, CHUNK.bit_length()):
        middles = [low.value + ((high.value - low.value) >> 1) for low, high in zip(lows, highs, strict=True)]
        # A search that is over looks at the last element of the row again.
        found = [keys[k.minimum(middle, width - 1)] for middle in middles]
        for other, low, high, middle, value in zip(others, lows, highs, middles, found, strict=True):
            after = (value > key) | ((value == key) & (other > chunk))
            open_ = low.value < high.value
            high.value = k.select(open_ & after, middle, high.value)
            low.value = k.select(open_ & ~after, middle + 1, low.value)
    return [low.value - start for low, start in zip(lows, starts, strict=True)]


def first_above(k: Kernel, keys: Pointer, start: Value, end: Value, bound: Value) -> Value:
    """Returns the first place in start ... end whose key is above `bound`, of keys that ascend; `end` if none is."""
    low, high = k.variable(start), k.variable(end)
    with k.while_(lambda: low.value < high.value):
        middle = low.value + ((high.value - low.value) >> 1)
        above = keys[middle] > bound
        high.value = k.select(above, middle, high.value)
        low.value = k.select(above, low.value, middle + 1)
    return low.value


def end_of_run(k: Kernel, keys: Pointer, start: Value, end: Value) -> Value:
    """Returns the place after the last key that is equal to the one at `start`, of keys that ascend below `end`.

    Most runs are short, so the search begins nearby.
    """
    key = keys[start]
    low, high, step = k.variable(start), k.variable(start + 1), k.variable(k.constant(i32, 1))
    more = k.variable(k.convert(high.value < end, i32))
    with k.while_(lambda: more.value != 0):
        alike = keys[high.value] == key
        low.value = k.select(alike, high.value, low.value)
        step.value = step.value * 2
        high.value = k.minimum(k.select(alike, high.value + step.value, high.value), end)
        more.value = k.convert(alike & (high.value < end), i32)
    return first_above(k, keys, low.value + 1, high.value, key)


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
