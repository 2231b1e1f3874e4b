"""Merges for tokens that are given by rank alone, as in tiktoken's files."""

from collections.abc import Mapping, Sequence

from alpha_tokenizers.bpe_merge import Pair, merge_ids

__all__ = ["merges_of_ranks"]


def merges_of_ranks(ranks: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Returns the merges, in order, that do to any word what tiktoken does with these ranks.

    tiktoken joins, again and again, the two neighbouring parts that make the token of the lowest rank. Nothing crosses
    the ends of the bytes that become a token before they become it, so what happens between them is what would happen
    to these bytes alone; a token is therefore always made of the same two parts, those that its own bytes come down to.
    Bytes that come down to more than two parts never become their token (but a whole word may be one).

    `ranks` must have the 256 bytes.
    """
    tokens = sorted(ranks, key=ranks.__getitem__)
    place = {token: i for i, token in enumerate(tokens)}
    byte_places = [place[bytes([byte])] for byte in range(256)]
    merges: list[tuple[bytes, bytes]] = []
    for token in tokens:
        parts = _parts_before(token, tokens, place, byte_places) if len(token) > 1 else []
        if len(parts) == 2:
            merges.append((tokens[parts[0]], tokens[parts[1]]))
    return merges


def _parts_before(
    token: bytes, tokens: Sequence[bytes], place: Mapping[bytes, int], byte_places: Sequence[int]
) -> list[int]:
    """Returns the places of the parts that the bytes of `token` come down to when they may not become `token`."""

    def rank_of(pair: Pair) -> int | None:
        joined = tokens[pair[0]] + tokens[pair[1]]
        return None if joined == token else place.get(joined)

    return merge_ids([byte_places[byte] for byte in token], rank_of, range(len(tokens)))
