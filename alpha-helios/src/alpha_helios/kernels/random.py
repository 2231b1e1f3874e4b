"""Philox4x32-10: the words of `alpha_core.random`, bit for bit."""

from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import i32
from alpha_helios.spirv.value import Value

__all__ = ["Words", "philox4x32"]

_MULTIPLIER_0, _MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10

Words = tuple[Value, Value, Value, Value]


def philox4x32(k: Kernel, counter: Words, key: tuple[Value, Value]) -> Words:
    """Returns the four words of a counter (Salmon, Moraes, Dror, Shaw, SC 2011); all are i32.

    The counter of words 4 b ... 4 b + 3 of a row is (b, the row's number, step, stream); the key is the seed, its lower
    half first.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for turn in range(_ROUNDS):
        if turn:
            k0, k1 = k0 + _WEYL_0, k1 + _WEYL_1
        high_0, low_0 = k.umul_extended(c0, k.constant(i32, _MULTIPLIER_0))
        high_1, low_1 = k.umul_extended(c2, k.constant(i32, _MULTIPLIER_1))
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
    return c0, c1, c2, c3
