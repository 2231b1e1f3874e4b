"""Philox4x32-10 on vectors: the words of `alpha_core.random`, bit for bit."""

from collections.abc import Sequence

from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import i32, i64, vector
from alpha_tensor.cpu.llvm.value import Number, Value

__all__ = ["consecutive_words", "philox4x32"]

_MULTIPLIER_0, _MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_LOW = 0xFFFFFFFF
_ROUNDS = 10

Words = tuple[Value, Value, Value, Value]


def philox4x32(f: Function, c0: Value, c1: Value, c2: Value, c3: Value, k0: Value, k1: Value) -> Words:
    """Returns the four words of each counter: (c0, c1, c2, c3) are vectors of i32 lanes, (k0, k1) the key, i32."""
    lanes = c0.type.lanes
    pairs = vector(i64, lanes // 2)
    counters = [f.bitcast(counter, pairs) for counter in (c0, c1, c2, c3)]
    keys = [f.widen_unsigned(key, i64) for key in (k0, k1)]
    even = _rounds(f, counters, keys)
    odd = _rounds(f, [counter >> 32 for counter in counters], keys)
    w0, w1, w2, w3 = (_joined(f, a, b) for a, b in zip(even, odd, strict=True))
    return w0, w1, w2, w3


def consecutive_words(
    f: Function, lanes: int, block: Number, row: Value, step: Value, stream: Value, k0: Value, k1: Value
) -> tuple[Value, Value]:
    """Returns words 4 * block ... 4 * block + 2 * lanes - 1 of a row in order, as two vectors of `lanes` i32.

    `block` is an i64, all else are i32 scalars.
    """
    half = lanes // 2
    # In this order of the blocks, taking every second lane gives neighbours.
    order = [index // 2 + (half // 2 if index % 2 else 0) for index in range(half)]
    ids = Value(f, vector(i64, half), "<" + ", ".join(f"i64 {place}" for place in order) + ">")
    blocks = ids + block
    rest = [f.splat(f.widen_unsigned(word, i64), half) for word in (row, step, stream)]
    w0, w1, w2, w3 = _rounds(f, [blocks, *rest], [f.widen_unsigned(key, i64) for key in (k0, k1)])
    wide, pairs = vector(i32, lanes), vector(i64, half)
    low, high = (f.bitcast(_joined(f, a, b), pairs) for a, b in ((w0, w1), (w2, w3)))
    first = f.shuffle(low, high, [lane for pair in range(0, half, 2) for lane in (pair, half + pair)])
    second = f.shuffle(low, high, [lane for pair in range(1, half, 2) for lane in (pair, half + pair)])
    return f.bitcast(first, wide), f.bitcast(second, wide)


def _rounds(f: Function, counter: Sequence[Value], key: Sequence[Value]) -> Words:
    """The generator on i64 lanes, of which only the lower halves mean anything: so no product needs to be split."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product_0, product_1 = (c0 & _LOW) * _MULTIPLIER_0, (c2 & _LOW) * _MULTIPLIER_1
        c0, c1, c2, c3 = (product_1 >> 32) ^ c1 ^ k0, product_1, (product_0 >> 32) ^ c3 ^ k1, product_0
        k0, k1 = k0 + _WEYL_0, k1 + _WEYL_1
    return c0, c1, c2, c3


def _joined(f: Function, low: Value, high: Value) -> Value:
    """Puts the lower halves of two words next to each other, as i32 lanes."""
    lanes = 2 * low.type.lanes
    first, second = (f.bitcast(word, vector(i32, lanes)) for word in (low, high))
    return f.shuffle(first, second, [lane + part for lane in range(0, lanes, 2) for part in (0, lanes)])
