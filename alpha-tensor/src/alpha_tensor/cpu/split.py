"""How a batch is cut up: chunks of whole sequences, dealt out to lanes.

A lane is a sum of its own: it adds up its chunks in order, and the lanes are added in order afterwards. So results
depend on the number of lanes and on the size of chunks, never on the number of threads.
"""

from collections.abc import Sequence

import attrs

from alpha_core.tensor import Shape

__all__ = ["Split", "choose_split"]


@attrs.frozen
class Split:
    """`lanes` sums of chunks of `rows` sequences; lane i has `chunks[i]` of them, which follow those of lane i - 1."""

    rows: int
    chunks: tuple[int, ...]

    @property
    def lanes(self) -> int:
        return len(self.chunks)


def choose_split(shapes: Sequence[Shape], lanes: int, chunk_tokens: int) -> Split | None:
    """Returns how inputs of these shapes are split along axis 0, None if they have no common one of length above 1.

    The chunk is the divisor of the batch with which the fullest lane has least to do; among those the one closest to
    `chunk_tokens`, beneath which a product is too small to be efficient and above which activations leave the cache.
    """
    lengths = {shape[0] if shape else 0 for shape in shapes}
    if len(lengths) != 1 or min(lengths) < 1:
        return None
    batch = lengths.pop()
    tokens = max(shape[1] if len(shape) > 1 else 1 for shape in shapes)
    limit = max(1, 2 * chunk_tokens // tokens)
    divisors = [rows for rows in range(1, min(batch, limit) + 1) if batch % rows == 0]

    def cost(rows: int) -> tuple[int, int]:
        fullest = -(-(batch // rows) // lanes) * rows
        return fullest, abs(rows * tokens - chunk_tokens)

    rows = min(divisors, key=cost)
    count = batch // rows
    used = min(lanes, count)
    return Split(rows, tuple(count // used + (lane < count % used) for lane in range(used)))
