"""Selection along an axis by an integer tensor, and the search for the largest elements."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.embedding import copy_row
from alpha_tensor.cpu.kernels.rows import sweep
from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import Type, f32, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Pointer, Value, Variable

__all__ = ["argmax", "gather", "gather_grad", "top_k", "write_rows"]

_LEAST, _MOST = -(2**31), 2**31 - 1
_COARSE_BITS = 11  # of a key: the first cut of `top_k`
_DIGIT_BITS = 8
_SORT_PASSES = 32 // _DIGIT_BITS  # even, so that the sorted keys end where they began


def gather(k: Kernel, bits: int) -> None:
    """out[o, j, i] = x[o, index[o, j, i], i]; x has `length` places on the middle axis, the index `picks`."""
    element = Type("i", bits)
    out, x, index = k.pointer(element), k.pointer(element), k.pointer(i32)
    outer, picks, length, inner = (k.integer() for _ in range(4))
    with k.share(outer * picks) as (start, stop), k.range_(start, stop) as row:
        source = x + row // picks * (length * inner)
        with k.range_(0, inner) as i:
            place = row * inner + i
            out[place] = source[k.convert(index[place], i64) * inner + i]


def gather_grad(k: Kernel) -> None:
    """out = 0, then out[o, index[o, j, i], i] += grad[o, j, i], in order of j."""
    out, grad, index = k.pointer(), k.pointer(), k.pointer(i32)
    outer, picks, length, inner = (k.integer() for _ in range(4))
    lanes = k.target.lanes
    zero = k.constant(vector(f32, lanes), 0)
    with k.share(outer) as (start, stop), k.range_(start, stop) as o:
        target = out + o * (length * inner)
        sweep(k, 0, length * inner, lambda i, mask, slot: target.store(i, zero, mask))
        with k.range_(o * picks, (o + 1) * picks) as row, k.range_(0, inner) as i:
            place = row * inner + i
            hit = target + (k.convert(index[place], i64) * inner + i)
            hit[0] = hit[0] + grad[place]


def write_rows(k: Kernel, bits: int) -> None:
    """destination[b, h, index[b]] = source[b, h], rows of `width` elements."""
    element = Type("i", bits)
    destination, source, index = k.pointer(element), k.pointer(element), k.pointer(i32)
    batch, heads, capacity, width = (k.integer() for _ in range(4))
    with k.share(batch * heads) as (start, stop), k.range_(start, stop) as row:
        place = row * capacity + k.convert(index[row // heads], i64)
        copy_row(k, destination + place * width, source + row * width, width)


def argmax(k: Kernel) -> None:
    """out[row] = the index of the largest of x[row]; the lowest among equals; NaN is largest."""
    out, x, count, width = k.pointer(i32), k.pointer(), k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        source = x + row * width
        best = k.variable(k.splat(k.constant(i32, _LEAST), lanes))
        where = k.variable(k.splat(k.constant(i32, 0), lanes))

        def compare(
            index: Value, mask: Value | None, slot: int, source: Pointer = source, best: Variable = best
        ) -> None:
            key = _ordered(k, source.load(index, lanes, mask), _MOST)
            greater = key > best.value if mask is None else (key > best.value) & mask
            best.value = k.select(greater, key, best.value)
            places = k.iota(i32, lanes) + k.splat(k.convert(index, i32), lanes)
            where.value = k.select(greater, places, where.value)

        sweep(k, 0, width, compare)
        out[row] = _index_of_largest(k, best.value, where.value)


def top_k(k: Kernel) -> None:
    """The `size` largest numbers of each row in descending order, and their indices; equal ones by index, NaN last.

    The first bits of the numbers show which of them can be among the largest; only these are sorted, digit by digit
    from the last one, which keeps equal ones in order. `scratch` has room for four times the row.
    """
    values, indices, scratch, x = k.pointer(), k.pointer(i32), k.pointer(i32), k.pointer()
    count, width, size = k.integer(), k.integer(), k.integer()
    lanes = k.target.lanes
    counts = k.stack(i32, 1 << _COARSE_BITS)
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        source = x + row * width
        keys, spare_keys, ids, spare_ids = (scratch + (row * 4 + place) * width for place in range(4))

        def rank(index: Value, mask: Value | None, slot: int, source: Pointer = source, keys: Pointer = keys) -> None:
            key = _ordered(k, source.load(index, lanes, mask), _LEAST)
            keys.store(index, key ^ _MOST, mask)  # as an unsigned number, ascending from the largest element

        sweep(k, 0, width, rank)
        last = _last_needed(k, keys, width, size, counts)
        found = k.variable(0, i64)
        with k.range_(0, width) as index:
            key, place = keys[index], found.value
            spare_keys[place], spare_ids[place] = key, k.convert(index, i32)
            found.value = place + k.convert(
                k.select(_digit(k, key, 32 - _COARSE_BITS, _COARSE_BITS) <= last, 1, k.constant(i64, 0)), i64
            )
        sides = ((spare_keys, spare_ids), (keys, ids))
        for number in range(_SORT_PASSES):
            _sort_pass(k, sides[number % 2], sides[1 - number % 2], found.value, number * _DIGIT_BITS, counts)
        with k.range_(0, size) as place:
            chosen = spare_ids[place]
            indices[row * size + place] = chosen
            values[row * size + place] = source[k.convert(chosen, i64)]


def _ordered(f: Function, x: Value, nan: int) -> Value:
    """Returns integers in the order of the numbers, in which zeros are equal and NaN is `nan`."""
    bits = f.bitcast(x + 0.0, vector(i32, x.type.lanes))
    return f.select(f.unordered(x, x), nan, f.select(bits < 0, bits ^ _MOST, bits))


def _index_of_largest(f: Function, keys: Value, indices: Value) -> Value:
    """Returns the index of the largest of the lanes' keys, the lowest one among equals."""
    lanes = keys.type.lanes
    while lanes > 1:
        lanes //= 2
        halves = (range(lanes), range(lanes, 2 * lanes))
        key, other_key = (f.shuffle(keys, keys, half) for half in halves)
        index, other = (f.shuffle(indices, indices, half) for half in halves)
        better = (other_key > key) | ((other_key == key) & (other < index))
        keys, indices = f.select(better, other_key, key), f.select(better, other, index)
    return f.extract(indices, 0)


def _digit(f: Function, key: Value, shift: int, bits: int) -> Value:
    return f.widen_unsigned((key >> shift) & ((1 << bits) - 1), i64)


def _count_digits(f: Kernel, keys: Pointer, count: Value, shift: int, bits: int, counts: Pointer) -> None:
    zero = f.splat(f.constant(i32, 0), 4)
    with f.range_(0, 1 << bits, 4) as index:
        counts.store(index, zero)
    with f.range_(0, count) as index:
        digit = _digit(f, keys[index], shift, bits)
        counts[digit] = counts[digit] + 1


def _last_needed(k: Kernel, keys: Pointer, width: Value, size: Value, counts: Pointer) -> Value:
    """Returns the first bits up to which there are at least `size` keys."""
    _count_digits(k, keys, width, 32 - _COARSE_BITS, _COARSE_BITS, counts)
    digit, reached = k.variable(0, i64), k.variable(k.convert(counts[0], i64))
    with k.while_(lambda: reached.value < size):
        digit.value = digit.value + 1
        reached.value = reached.value + k.convert(counts[digit.value], i64)
    return digit.value


def _sort_pass(
    k: Kernel,
    source: tuple[Pointer, Pointer],
    target: tuple[Pointer, Pointer],
    count: Value,
    shift: int,
    counts: Pointer,
) -> None:
    """Sorts keys and what goes with them by one digit; equal digits stay in order."""
    _count_digits(k, source[0], count, shift, _DIGIT_BITS, counts)
    before = k.variable(0, i32)
    with k.range_(0, 1 << _DIGIT_BITS) as digit:
        number = counts[digit]
        counts[digit] = before.value
        before.value = before.value + number
    with k.range_(0, count) as index:
        key = source[0][index]
        digit = _digit(k, key, shift, _DIGIT_BITS)
        place = counts[digit]
        counts[digit] = place + 1
        position = k.convert(place, i64)
        target[0][position], target[1][position] = key, source[1][index]
