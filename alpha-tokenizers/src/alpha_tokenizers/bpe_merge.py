"""Applying BPE merges to one word."""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

__all__ = ["Pair", "merge_ids"]

Pair = tuple[int, int]

_NOTHING = -1  # no neighbour on this side, or an id that was merged into its left neighbour


def merge_ids(ids: list[int], rank_of: Callable[[Pair], int | None], products: Sequence[int]) -> list[int]:
    """Merges neighbouring ids, the pair of the lowest rank first, from left to right, until no pair has a rank.

    `rank_of` gives a pair's rank, and `products[rank]` the id that the pair becomes. Changes `ids`. Takes O(n log n),
    so that no long word is a trap.
    """
    following = [*range(1, len(ids)), _NOTHING]
    previous = list(range(-1, len(ids) - 1))
    queue = [(rank, i) for i, pair in enumerate(pairwise(ids)) if (rank := rank_of(pair)) is not None]
    heapify(queue)
    while queue:
        rank, i = heappop(queue)
        second = following[i]
        # An overlapping pair may have been merged first.
        if ids[i] == _NOTHING or second == _NOTHING or rank_of((ids[i], ids[second])) != rank:
            continue
        ids[i], ids[second] = products[rank], _NOTHING
        before, after = previous[i], following[second]
        following[i] = after
        if after != _NOTHING:
            previous[after] = i
            _queue_pair(queue, rank_of, ids, i, after)
        if before != _NOTHING:
            _queue_pair(queue, rank_of, ids, before, i)
    return [i for i in ids if i != _NOTHING]


def _queue_pair(
    queue: list[tuple[int, int]], rank_of: Callable[[Pair], int | None], ids: list[int], i: int, j: int
) -> None:
    rank = rank_of((ids[i], ids[j]))
    if rank is not None:
        heappush(queue, (rank, i))
