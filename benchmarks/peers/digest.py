"""A digest of token ids, by which tokenizers can be compared without their ids."""

import hashlib
from array import array
from collections.abc import Iterable, Sequence

__all__ = ["digest"]


def digest(encoded: Iterable[Sequence[int]]) -> str:
    """Returns the same text for the same ids of the same texts."""
    found = hashlib.sha256()
    for ids in encoded:
        found.update(len(ids).to_bytes(8, "little") + array("I", ids).tobytes())
    return found.hexdigest()[:16]
