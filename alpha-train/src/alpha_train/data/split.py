"""Which text is held out for validation: whole documents, or of a single document its end."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from alpha_core.errors import DataError
from alpha_train.data.document import DocumentHashes, Piece

__all__ = ["held_out_documents", "split_pieces"]


def split_pieces(
    pieces: Iterator[Piece], documents: DocumentHashes, validation_fraction: float
) -> Iterator[tuple[bool, Piece]]:
    """Yields each piece with whether it is for validation.

    Of several documents, those of `held_out_documents` are. Of one document, its last characters are, a
    `validation_fraction` of all, so that training never sees what follows. Neither side is empty, except that
    validation is for a fraction of 0. Raises `DataError` for a single document of one character, and for a single
    conversation.
    """
    count = len(documents.sizes)
    if validation_fraction == 0:
        return ((False, piece) for piece in pieces)
    if count > 1:
        return _by_document(pieces, held_out_documents(documents.hashes, documents.sizes, validation_fraction))
    if documents.characters < 2:
        raise DataError("one character of text cannot be split into training and validation text")
    if documents.masked:
        raise DataError(
            "one conversation cannot be split into training and validation text",
            hint="bring more conversations, or hold out nothing: `--validation-fraction=0`",
        )
    boundary = int(documents.characters * (1 - validation_fraction))
    return _by_tail(pieces, min(max(boundary, 1), documents.characters - 1))


def held_out_documents(
    hashes: npt.NDArray[np.uint64], sizes: npt.NDArray[np.uint64], fraction: float
) -> npt.NDArray[np.bool_]:
    """Returns for each of two or more documents whether it is for validation.

    Documents are held out in the order of their hashes, while their bytes fit into `fraction` of all bytes; if none
    fits, the smallest is. So the choice depends on the content alone, equal documents are on one side, and the
    validation text is as long as asked for, or a little shorter. (If all documents are equal, it is the last one.)
    """
    groups, group_of = np.unique(hashes, return_inverse=True)
    held_out: npt.NDArray[np.bool_] = np.zeros(len(hashes), dtype=np.bool_)
    if len(groups) == 1:
        held_out[-1] = True
        return held_out
    group_sizes = np.zeros(len(groups), dtype=np.uint64)
    np.add.at(group_sizes, group_of, sizes)
    room = int(float(sizes.sum()) * fraction)
    chosen: list[int] = []
    for group, size in enumerate(group_sizes.tolist()):
        if size <= room:
            chosen.append(group)
            room -= size
    held_out[np.isin(group_of, chosen or [int(group_sizes.argmin())])] = True
    return held_out


def _by_document(pieces: Iterator[Piece], held_out: npt.NDArray[np.bool_]) -> Iterator[tuple[bool, Piece]]:
    document = 0
    for piece in pieces:
        if document == len(held_out):
            raise DataError("the text changed while it was read: it has more documents than before")
        yield bool(held_out[document]), piece
        document += piece.is_last


def _by_tail(pieces: Iterator[Piece], boundary: int) -> Iterator[tuple[bool, Piece]]:
    place = 0
    for piece in pieces:
        end = place + len(piece.text)
        if place < boundary < end:
            yield False, Piece(piece.text[: boundary - place], is_last=False)
            yield True, Piece(piece.text[boundary - place :], is_last=piece.is_last)
        else:
            yield place >= boundary, piece
        place = end
