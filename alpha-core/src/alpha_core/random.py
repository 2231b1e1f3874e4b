"""Counter-based random numbers: a pure function of (seed, stream, step, row, index), equal on every backend.

The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
The key is the 64-bit seed; the counter is (index // 4, row, step, stream), and `index % 4` selects one of the four
words of a block. Resuming a run needs no generator state beyond the step, and splitting a batch changes no bit, because
`row` is the index of a sequence in the whole batch.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from alpha_core.tensor import Tensor

__all__ = ["RandomStream", "dropout_threshold", "normal", "philox4x32", "random_bits", "stream_id", "uniform_integers"]

UInt32 = npt.NDArray[np.uint32]

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)


@attrs.frozen(eq=False)
class RandomStream:
    """Where an op on the device takes its random bits from.

    `seed` and `stream` are fixed when a program is recorded; `step` (i32, shape ()) and `rows` (i32, shape (B,): each
    sequence's index in the whole batch) are device tensors, so that a recorded program draws anew at every step.
    """

    seed: int
    stream: int
    step: "Tensor"
    rows: "Tensor"


def stream_id(name: str) -> int:
    """Returns the 32-bit stream number of a purpose such as `layer.3.attn.dropout`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")


def philox4x32(
    counter: tuple[UInt32, UInt32, UInt32, UInt32], key: tuple[int, int]
) -> tuple[UInt32, UInt32, UInt32, UInt32]:
    """Returns the four output words for each counter (arrays that broadcast) under one 64-bit key."""
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(10):
        product_0, product_1 = _MULTIPLIER_0 * c0, _MULTIPLIER_1 * c2
        shift = np.uint64(32)
        c0, c1, c2, c3 = (
            (product_1 >> shift) ^ c1 ^ np.uint64(k0),
            product_1 & _LOW,
            (product_0 >> shift) ^ c3 ^ np.uint64(k1),
            product_0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL_0) & 0xFFFFFFFF, (k1 + _WEYL_1) & 0xFFFFFFFF
    w0, w1, w2, w3 = (word.astype(np.uint32) for word in np.broadcast_arrays(c0, c1, c2, c3))
    return w0, w1, w2, w3


def random_bits(seed: int, stream: int, step: int, rows: npt.NDArray[Any], row_size: int) -> UInt32:
    """Returns uniform 32-bit words of shape (len(rows), row_size)."""
    blocks = np.arange((row_size + 3) // 4, dtype=np.uint32)[None, :]
    words = philox4x32(
        (
            blocks,
            rows.astype(np.uint32)[:, None],
            np.full((1, 1), step & 0xFFFFFFFF, np.uint32),
            np.full((1, 1), stream & 0xFFFFFFFF, np.uint32),
        ),
        (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF),
    )
    interleaved = np.stack(words, axis=-1).reshape(len(rows), -1)
    return interleaved[:, :row_size]


def dropout_threshold(rate: float) -> int:
    """Returns the bound below which a 32-bit word means "drop": an element is dropped with probability `rate`."""
    return min(round(rate * 2**32), 2**32 - 1)


def uniform_integers(seed: int, stream: int, step: int, count: int, bound: int) -> npt.NDArray[np.int64]:
    """Returns `count` integers in [0, bound), each `(word * bound) >> 64` of a 64-bit word.

    The bias is below bound / 2**64.
    """
    words = random_bits(seed, stream, step, np.zeros(1, np.uint32), 2 * count)[0].astype(np.uint64)
    low, high = words[0::2], words[1::2]
    bound_low, bound_high = np.uint64(bound & 0xFFFFFFFF), np.uint64(bound >> 32)
    shift = np.uint64(32)
    # The 128-bit product in 32-bit digits, as in long multiplication; no partial sum exceeds 64 bits.
    middle = high * bound_low + (low * bound_low >> shift)
    carry = (middle & _LOW) + low * bound_high
    values: npt.NDArray[np.uint64] = high * bound_high + (middle >> shift) + (carry >> shift)
    return values.astype(np.int64)


def normal(seed: int, stream: int, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Returns standard normal values (Box-Muller on 53-bit uniforms), for initialization on the host."""
    size = int(np.prod(shape, dtype=np.int64))
    pairs = (size + 1) // 2
    words = random_bits(seed, stream, 0, np.zeros(1, np.uint32), 4 * pairs)[0].astype(np.uint64).reshape(2, pairs, 2)
    bits = (words[..., 0] << np.uint64(21)) ^ (words[..., 1] >> np.uint64(11))
    uniform = (bits.astype(np.float64) + 0.5) / 2.0**53  # in (0, 1), so that the logarithm is finite
    radius = np.sqrt(-2.0 * np.log(uniform[0]))
    angle = 2.0 * np.pi * uniform[1]
    values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return values[:size].reshape(shape)
