"""A corpus: documents of one kind until there is enough."""

from collections.abc import Iterator
from itertools import count

from alpha_core.tokenizer import END_OF_TEXT
from alpha_train.datagen.draws import Draws
from alpha_train.datagen.kinds import Kind

__all__ = ["corpus"]


def corpus(kind: Kind, *, seed: int, size: int) -> Iterator[str]:
    """Yields whole documents, with `<|end_of_text|>` between them, of at most `size` bytes together (one at least).

    A corpus of the same seed and a larger size begins with this one.
    """
    document = kind.load()
    written = 0
    for index in count():
        text = document(Draws(f"{kind.name}/{seed}/{index}")) + "\n"
        piece = END_OF_TEXT + text if index else text
        written += len(piece.encode())
        if written > size and index:
            return
        yield piece
