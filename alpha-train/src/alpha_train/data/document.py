"""Documents, and reading them in pieces, so that a file of any size needs little memory.

A document is a file, a record of a file (a line of JSON Lines, a row of Parquet), or a part of either between
`<|end_of_text|>` delimiters. Documents of nothing but whitespace do not count.
"""

import hashlib
import re
from array import array
from collections.abc import Iterator
from typing import TextIO

import attrs
import numpy as np
import numpy.typing as npt

from alpha_core.tokenizer import END_OF_TEXT

__all__ = ["PIECE_SIZE", "DocumentHashes", "Piece", "cut_text", "read_pieces"]

PIECE_SIZE = 1 << 20
"""Characters that are read at once."""

# The pattern's end is the last place between a character and whitespace. No word of a tokenizer crosses such a place,
# so that the pieces of a document have the same tokens as the whole. The characters are whitespace in everyone's eyes.
_LAST_WORD_END = re.compile(r".*\S(?=[ \t\r\n])", re.DOTALL)

_COUNTS_CHANGE = b"\xff"  # no byte of UTF-8, so the hash of a conversation is never that of a text


@attrs.frozen
class Piece:
    """A document, or a part of a long one, cut at the end of a word."""

    text: str
    is_last: bool
    """Whether the document ends here."""
    counts: bool = True
    """Whether its tokens count in the loss. What a user says in a conversation does not."""


def read_pieces(file: TextIO, size: int = PIECE_SIZE) -> Iterator[Piece]:
    """Yields the documents of a file, without their delimiters; those above about `size` characters in pieces.

    >>> import io
    >>> [piece.text for piece in read_pieces(io.StringIO("one<|end_of_text|>two"))]
    ['one', 'two']
    """
    pending, is_open = "", False
    while chunk := file.read(size):
        *ended, pending = (pending + chunk).split(END_OF_TEXT)
        for text in ended:
            if is_open or not _is_blank(text):
                yield Piece(text, is_last=True)
            is_open = False
        cut = _cut(pending) if len(pending) >= size else 0
        if cut > 0:
            yield Piece(pending[:cut], is_last=False)
            pending, is_open = pending[cut:], True
    if is_open or not _is_blank(pending):
        yield Piece(pending, is_last=True)


def cut_text(text: str, size: int = PIECE_SIZE) -> Iterator[str]:
    """Yields a text in parts of at most `size` characters that end between words, where there are words."""
    start = 0
    while len(text) - start > size:
        part = text[start : start + size]
        part = part[: _cut(part) or size]
        yield part
        start += len(part)
    yield text[start:]


def _cut(text: str) -> int:
    """Returns where to end a piece; 0 for not yet, because the piece would be blank."""
    word_end = _LAST_WORD_END.match(text)
    # One enormous word: anywhere, but not within a delimiter that is only half read.
    cut = word_end.end() if word_end is not None else max(len(text) - len(END_OF_TEXT), 0)
    return 0 if _is_blank(text[:cut]) else cut


def _is_blank(text: str) -> bool:
    return text == "" or text.isspace()


class DocumentHashes:
    """The SHA-256 of every document, collected piece by piece."""

    def __init__(self) -> None:
        self.characters = 0
        self.masked = False
        """Whether some of the text does not count in the loss."""
        self._digests = bytearray()
        self._sizes = array("Q")
        self._document = hashlib.sha256()
        self._size = 0
        self._counts = True

    def add(self, piece: Piece) -> int:
        """Takes the next piece and returns its size in bytes of UTF-8."""
        data = piece.text.encode("utf-8", "surrogatepass")
        if piece.counts != self._counts:
            self._document.update(_COUNTS_CHANGE)
            self._counts = piece.counts
            self.masked = True
        self._document.update(data)
        self._size += len(data)
        self.characters += len(piece.text)
        if piece.is_last:
            self._digests += self._document.digest()
            self._sizes.append(self._size)
            self._document, self._size, self._counts = hashlib.sha256(), 0, True
        return len(data)

    def extend(self, other: "DocumentHashes") -> None:
        """Takes all documents of `other`."""
        self.characters += other.characters
        self.masked = self.masked or other.masked
        self._digests += other._digests
        self._sizes.extend(other._sizes)

    @property
    def content(self) -> str:
        """The hash of all documents in order, hexadecimal; how they are spread over files makes no difference."""
        return hashlib.sha256(self._digests).hexdigest()

    @property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """The first 64 bits of each document's hash."""
        return np.frombuffer(bytes(self._digests), dtype="<u8").reshape(-1, 4)[:, 0].astype(np.uint64)

    @property
    def sizes(self) -> npt.NDArray[np.uint64]:
        """Bytes of each document, as UTF-8."""
        return np.array(self._sizes, dtype=np.uint64)
