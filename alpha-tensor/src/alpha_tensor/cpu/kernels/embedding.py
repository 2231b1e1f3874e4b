"""Rows of a table by id, and the gradient: rows added up by id."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.rows import sweep
from alpha_tensor.cpu.llvm.types import Type, f32, i32, i64, vector
from alpha_tensor.cpu.llvm.value import Pointer, Value

__all__ = ["copy_row", "embedding", "embedding_add", "embedding_grad", "token_chains"]


def embedding(k: Kernel, bits: int) -> None:
    """out[n] = table[ids[n]], for rows of `width` elements of so many bits."""
    element = Type("i", bits)
    out, table, ids = k.pointer(element), k.pointer(element), k.pointer(i32)
    count, width = k.integer(), k.integer()
    with k.share(count) as (start, stop), k.range_(start, stop) as place:
        copy_row(k, out + place * width, table + k.convert(ids[place], i64) * width, width)


def copy_row(k: Kernel, out: Pointer, source: Pointer, width: Value) -> None:
    """Copies `width` elements."""
    lanes = k.target.lanes
    whole = width // lanes * lanes
    with k.range_(0, whole, lanes) as index:
        out.store(index, source.load(index, lanes))
    with k.range_(whole, width) as index:
        out[index] = source[index]


def token_chains(k: Kernel) -> None:
    """Links the places of each id in order: `first[id]`, then `following[place]`; -1 where there is none.

    One part does it all: it is little beside what the chains are for.
    """
    first, following, ids = k.pointer(i32), k.pointer(i32), k.pointer(i32)
    count, rows = k.integer(), k.integer()
    lanes = k.target.lanes
    with k.if_(k.part == 0):
        nothing = k.splat(k.constant(i32, -1), lanes)
        sweep(k, 0, rows, lambda i, mask, slot: first.store(i, nothing, mask))
        with k.range_(0, count) as step:
            place = count - 1 - step
            token = k.convert(ids[place], i64)
            following[place] = first[token]
            first[token] = k.convert(place, i32)


def embedding_grad(k: Kernel) -> None:
    """out[id] = the sum of grad over the places of the id, in order, starting from 0."""
    out, grad, first, following = k.pointer(), k.pointer(), k.pointer(i32), k.pointer(i32)
    rows, width = k.integer(), k.integer()
    with k.share(rows) as (start, stop), k.range_(start, stop) as row:
        _chain_sum(k, out + row * width, grad, k.convert(first[row], i64), following, width, add=False)


def embedding_add(k: Kernel) -> None:
    """table[id] += what `embedding_grad` gives for it, where an id occurs. The same arguments as there."""
    table, grad, first, following = k.pointer(), k.pointer(), k.pointer(i32), k.pointer(i32)
    rows, width = k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(rows, lanes) as (start, stop):

        def visit(index: Value, mask: Value | None, slot: int) -> None:
            heads = first.load(index, lanes, mask)  # 0 where nothing is read
            used = heads >= 0 if mask is None else (heads >= 0) & mask
            bits = k.bitcast(used, Type("i", lanes))
            with k.if_(bits != 0), k.range_(index, k.minimum(index + lanes, stop)) as row:
                head = k.convert(first[row], i64)
                with k.if_(head >= 0):
                    _chain_sum(k, table + row * width, grad, head, following, width, add=True)

        sweep(k, start, stop, visit)


def _chain_sum(
    k: Kernel, out: Pointer, grad: Pointer, head: Value, following: Pointer, width: Value, add: bool
) -> None:
    """Adds up the rows of a chain; the columns are taken in pieces that stay in registers."""
    lanes = k.target.lanes

    def write(index: Value, mask: Value | None, slot: int) -> None:
        total = k.variable(k.constant(vector(f32, lanes), 0))
        place = k.variable(head)
        with k.while_(lambda: place.value >= 0):
            total.value = total.value + grad.load(place.value * width + index, lanes, mask)
            place.value = k.convert(following[place.value], i64)
        out.store(index, out.load(index, lanes, mask) + total.value if add else total.value, mask)

    sweep(k, 0, width, write)
