"""Batches: windows of the token stream, as a pure function of (seed, step).

Nothing is remembered between batches, so a run resumes at any step with the step alone. A window of T inputs takes
T + 1 tokens, for its targets are the inputs moved by one. Where a `mask` is given, 1 for every token that counts in the
loss, the others are inputs but no targets.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.errors import DataError
from alpha_core.random import random_bits, stream_id, uniform_integers
from alpha_train.data.token_ids import TokenIds

__all__ = ["IGNORED", "Batch", "PackedWindows", "RandomWindows", "Windows", "evaluation_batches"]

IGNORED = -1
"""The target of a place that does not count: the `ignore_index` of `cross_entropy`."""

Mask = npt.NDArray[np.uint8]

_STREAM = stream_id("data")


@attrs.frozen(eq=False)
class Batch:
    """B sequences of T tokens and their targets."""

    tokens: npt.NDArray[np.int32]  # (B, T)
    targets: npt.NDArray[np.int32]  # (B, T)
    rows: npt.NDArray[np.int32]  # (B,)
    """Each sequence's index in the whole optimizer step (or evaluation), which its dropout depends on."""

    @property
    def target_count(self) -> int:
        """Number of targets that count."""
        return int(np.count_nonzero(self.targets != IGNORED))


class Windows(ABC):
    """Batches of windows for training; a step takes the same windows however it is divided into micro-steps."""

    def __init__(
        self,
        tokens: TokenIds,
        *,
        mask: Mask | None = None,
        block_size: int,
        batch_size: int,
        accum_steps: int = 1,
        seed: int,
    ) -> None:
        """`block_size` is T, `batch_size` B. Raises `DataError` if the tokens are too few for one window."""
        _check_length(tokens, block_size)
        self._tokens = tokens
        self._mask = mask
        self._block_size = block_size
        self._batch_size = batch_size
        self._step_size = batch_size * accum_steps
        self._seed = seed

    def batch(self, step: int, micro_step: int = 0) -> Batch:
        """Returns batch `micro_step` of step `step`, both counted from 0."""
        rows = np.arange(micro_step * self._batch_size, (micro_step + 1) * self._batch_size, dtype=np.int32)
        return _windows(self._tokens, self._mask, self._starts(step, rows), self._block_size, rows)

    @abstractmethod
    def _starts(self, step: int, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Returns where the windows of these rows of a step begin."""


class RandomWindows(Windows):
    """Windows that start anywhere in the tokens, drawn anew at every step."""

    def _starts(self, step: int, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        bound = len(self._tokens) - self._block_size
        return uniform_integers(self._seed, _STREAM, step, self._step_size, bound)[rows]


class PackedWindows(Windows):
    """Windows that follow each other without overlap, in an order that is shuffled for every pass over the tokens.

    Every window is used once before any is used again. Tokens at the end that do not fill a window are left out.
    """

    @property
    def windows_per_epoch(self) -> int:
        """Number of windows in one pass over the tokens."""
        return (len(self._tokens) - 1) // self._block_size

    def _starts(self, step: int, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        places = step * self._step_size + rows.astype(np.int64)
        epochs, places = np.divmod(places, self.windows_per_epoch)
        windows = np.empty(len(rows), np.int64)
        for epoch in np.unique(epochs):
            order = _shuffled(self._seed, int(epoch), self.windows_per_epoch)
            windows[epochs == epoch] = order[places[epochs == epoch]]
        return windows * self._block_size


def evaluation_batches(
    tokens: TokenIds, *, mask: Mask | None = None, block_size: int, batch_size: int, limit: int
) -> Iterator[Batch]:
    """Yields the same batches at every call, all of shape (`batch_size`, `block_size`).

    At most `limit` batches of whole windows, spread evenly over the tokens. With `limit` 0, or if that is more than
    there is, every token but the first is a target exactly once; places without a token, or with one that does not
    count, have the target `IGNORED`.
    Raises `DataError` for fewer than two tokens.
    """
    if len(tokens) < 2:
        raise DataError(
            f"the validation text has {len(tokens)} tokens, and evaluation needs at least 2",
            hint="use more text, or a larger validation fraction",
        )
    whole = (len(tokens) - 1) // block_size
    wanted = limit * batch_size
    if 0 < wanted < whole:
        starts = np.arange(wanted, dtype=np.int64) * whole // wanted * block_size
    else:
        starts = np.arange(0, len(tokens) - 1, block_size, dtype=np.int64)
    for first in range(0, len(starts), batch_size):
        rows = np.arange(first, first + batch_size, dtype=np.int32)
        yield _padded_windows(tokens, mask, starts[first : first + batch_size], block_size, rows)


def _check_length(tokens: TokenIds, block_size: int) -> None:
    if len(tokens) < block_size + 1:
        raise DataError(
            f"the training text has {len(tokens)} tokens, and one window needs {block_size + 1} (block_size + 1)",
            hint="use more text or a smaller block size",
        )


def _windows(
    tokens: TokenIds,
    mask: Mask | None,
    starts: npt.NDArray[np.int64],
    block_size: int,
    rows: npt.NDArray[np.int32],
) -> Batch:
    places = starts[:, None] + np.arange(block_size + 1)  # (B, T + 1)
    windows = tokens[places].astype(np.int32)
    targets = np.ascontiguousarray(windows[:, 1:])
    if mask is not None:
        targets[mask[places[:, 1:]] == 0] = IGNORED
    return Batch(np.ascontiguousarray(windows[:, :-1]), targets, rows)


def _padded_windows(
    tokens: TokenIds,
    mask: Mask | None,
    starts: npt.NDArray[np.int64],
    block_size: int,
    rows: npt.NDArray[np.int32],
) -> Batch:
    """Returns a batch of len(rows) windows; what lies beyond the tokens or `starts` is token 0 with no target."""
    inputs = np.zeros((len(rows), block_size), np.int32)
    targets = np.full((len(rows), block_size), IGNORED, np.int32)
    for row, start in enumerate(starts.tolist()):
        window = tokens[start : start + block_size + 1].astype(np.int32)
        count = len(window) - 1
        inputs[row, :count] = window[:-1]
        targets[row, :count] = window[1:]
        if mask is not None:
            targets[row, :count][mask[start + 1 : start + 1 + count] == 0] = IGNORED
    return Batch(inputs, targets, rows)


@lru_cache(maxsize=2)  # a batch may span two passes
def _shuffled(seed: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """Returns the numbers below `count` in an order that depends on (seed, epoch) alone."""
    keys = random_bits(seed, _STREAM, epoch, np.zeros(1, np.uint32), count)[0]
    return np.argsort(keys, kind="stable").astype(np.int64)
