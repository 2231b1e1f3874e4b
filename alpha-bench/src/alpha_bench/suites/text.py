"""The text of suites that need one: what `--data` names, or the standard library of this Python."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from alpha_bench.session import Session
from alpha_core.errors import DataError
from alpha_train.data import open_source
from alpha_train.data.survey import pieces_of, survey

__all__ = ["text_facts", "text_file", "text_of"]

_QUICK_SIZE = 20_000


def text_of(session: Session, size: int) -> str:
    """Returns the beginning of the session's text, `size` characters at most. Raises `DataError` if there is none."""
    return _beginning(session.data or "python", _QUICK_SIZE if session.quick else size)


def text_file(session: Session, size: int) -> Path:
    """Returns a file with `text_of`."""
    path = session.folder / f"text-{size}.txt"
    if not path.exists():
        path.write_text(text_of(session, size), encoding="utf-8", newline="")
    return path


def text_facts(session: Session, size: int) -> dict[str, Any]:
    """Returns what a result says of its text, so that results on other texts are not compared."""
    content = text_of(session, size).encode()
    return {
        "text": session.data or "the standard library of Python",
        "text_bytes": len(content),
        "text_sha256": hashlib.sha256(content).hexdigest()[:16],
    }


@lru_cache(maxsize=4)
def _beginning(data: str, size: int) -> str:
    parts, length = [], 0
    with open_source(data) as source:
        for piece in pieces_of(survey(source).texts):
            parts.append(piece.text)
            length += len(piece.text)
            if length >= size:
                break
    text = "".join(parts)[:size]
    if len(text) < min(size, _QUICK_SIZE) // 2:
        raise DataError(f"the text has {len(text)} characters, which is too short to measure anything with")
    return text
