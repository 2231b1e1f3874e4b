"""Sequences of token ids: one array, or several files one after another."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["IdArray", "ShardedTokens", "TokenIds", "blocks_of", "concatenated"]

IdArray: TypeAlias = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

_BLOCK = 1 << 20  # tokens that are looked at at once


class ShardedTokens:
    """Several arrays of token ids as one sequence; of what an array can do, it has what training needs."""

    def __init__(self, arrays: Sequence[IdArray]) -> None:
        self.arrays = tuple(arrays)
        self._ends = np.cumsum([len(array) for array in arrays])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: slice | npt.NDArray[np.int64]) -> IdArray:
        """Returns the ids at places of any shape, or of a slice, as an array in memory."""
        places = np.arange(*index.indices(len(self))) if isinstance(index, slice) else index
        found = np.empty(places.shape, self.arrays[0].dtype)
        shards = np.searchsorted(self._ends, places, side="right")
        for shard in np.unique(shards):
            array, here = self.arrays[shard], shards == shard
            found[here] = array[places[here] - (self._ends[shard] - len(array))]
        return found


TokenIds: TypeAlias = IdArray | ShardedTokens


def concatenated(arrays: Sequence[IdArray]) -> TokenIds:
    """Returns one or more arrays of one dtype as one sequence, without copying them."""
    return arrays[0] if len(arrays) == 1 else ShardedTokens(arrays)


def blocks_of(tokens: TokenIds, start: int = 0, stop: int | None = None) -> Iterator[IdArray]:
    """Yields the tokens from `start` to before `stop` in order, about a million at once."""
    stop = len(tokens) if stop is None else min(stop, len(tokens))
    for place in range(start, stop, _BLOCK):
        yield tokens[place : min(place + _BLOCK, stop)]
