"""Learning BPE merges from word counts (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909), on bytes.

Again and again the most frequent pair of neighbouring tokens becomes one token. Pairs are counted in the distinct
words, weighted by how often each word occurs; an index from pair to places makes a merge cost only its own places, so
that all merges together cost O(n log n) in the length n of the distinct words.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise

__all__ = ["learn_merges"]

Pair = tuple[int, int]

_BYTES = 256  # ids below are the bytes, ids from here on the merges
_MINIMUM_COUNT = 2  # a pair that occurs once would only memorize its word
_NOTHING = -1  # no neighbour on this side, or a place that was merged into its left neighbour


def learn_merges(word_counts: Mapping[str, int], max_merges: int) -> list[Pair]:
    """Returns at most `max_merges` pairs of ids, in order; merge number i makes the id `256 + i`, after the bytes.

    The pair with the highest count is merged next; of equally frequent pairs, the one with the lowest ids, left before
    right. Every neighbouring pair counts, overlapping ones too (`aaa` holds `aa` twice); merging goes from left to
    right. Ends early when no pair occurs twice.
    """
    corpus = _Corpus(word_counts.items())
    queue = [(-count, pair) for pair, count in corpus.counts.items()]
    heapify(queue)
    merges: list[Pair] = []
    while queue and len(merges) < max_merges:
        negative_count, pair = heappop(queue)
        count = corpus.counts[pair]
        if count < _MINIMUM_COUNT:
            continue
        if count != -negative_count:  # other merges took some of its places since it was queued
            heappush(queue, (-count, pair))
            continue
        made = corpus.merge(pair, _BYTES + len(merges))
        merges.append(pair)
        for new_pair in made:
            heappush(queue, (-corpus.counts[new_pair], new_pair))
    return merges


class _Corpus:
    """The distinct words as linked lists of tokens, with the count and the places of every pair.

    Arrays hold one entry for each byte place: the token that starts there, its neighbours' places, its word's count.
    """

    def __init__(self, word_counts: Iterable[tuple[str, int]]) -> None:
        self.counts: defaultdict[Pair, int] = defaultdict(int)
        self._tokens = array("i")
        self._next = array("q")
        self._previous = array("q")
        self._weights = array("q")
        self._places: defaultdict[Pair, array[int]] = defaultdict(lambda: array("q"))
        for word, count in word_counts:
            self._add_word(word.encode("utf-8", "surrogatepass"), count)

    def _add_word(self, word: bytes, count: int) -> None:
        start, end = len(self._tokens), len(self._tokens) + len(word)
        self._tokens.extend(word)
        self._weights.extend([count] * len(word))
        self._previous.extend([_NOTHING, *range(start, end - 1)])
        self._next.extend([*range(start + 1, end), _NOTHING])
        for place, pair in enumerate(pairwise(word), start):
            self.counts[pair] += count
            self._places[pair].append(place)

    def merge(self, pair: Pair, merged: int) -> set[Pair]:
        """Makes each occurrence of `pair` the token `merged`, and returns the pairs that this made."""
        left, right = pair
        tokens, following, previous, counts = self._tokens, self._next, self._previous, self.counts
        made: set[Pair] = set()
        for place in sorted(self._places.pop(pair)):
            second = following[place]
            # A place in the index may be stale: an overlapping pair was merged first.
            if tokens[place] != left or second == _NOTHING or tokens[second] != right:
                continue
            weight = self._weights[place]
            before, after = previous[place], following[second]
            tokens[place], tokens[second] = merged, _NOTHING
            following[place] = after
            if before != _NOTHING:
                counts[tokens[before], left] -= weight
                self._add_pair((tokens[before], merged), before, weight, made)
            if after != _NOTHING:
                previous[after] = place
                counts[right, tokens[after]] -= weight
                self._add_pair((merged, tokens[after]), place, weight, made)
        del counts[pair]
        return made

    def _add_pair(self, pair: Pair, place: int, weight: int, made: set[Pair]) -> None:
        self.counts[pair] += weight
        self._places[pair].append(place)
        made.add(pair)
