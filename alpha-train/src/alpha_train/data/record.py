"""Records of text: a JSON object of a line, or a row of a table, each a document or a conversation."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alpha_core.config.setting import shown
from alpha_core.errors import DataError
from alpha_core.suggest import did_you_mean
from alpha_train.data.conversation import ASSISTANT, USER, conversation_pieces, turns_of_messages
from alpha_train.data.document import Piece, read_pieces

__all__ = ["DEFAULT_TEXT_KEY", "MESSAGES", "pieces_of_record", "record_keys"]

DEFAULT_TEXT_KEY = "text"
MESSAGES = "messages"
_KEYS_SHOWN = 8


def pieces_of_record(record: Mapping[str, Any], text_key: str = DEFAULT_TEXT_KEY) -> Iterator[Piece]:
    """Yields what a record holds, which is found in this order:

    1. under `text_key`, a text, or the messages of a conversation,
    2. under `messages`, the messages of a conversation: `[{"role": "user", "content": "..."}, ...]`,
    3. under `user` and `assistant`, a question and its answer.

    Raises `DataError` for a record that holds none of them.
    """
    keys = record_keys(list(record), text_key)
    if keys == (USER, ASSISTANT):
        yield from _conversation([{"role": key, "content": record[key]} for key in keys])
        return
    content = record[keys[0]]
    if isinstance(content, str) and keys[0] == text_key:
        _check_unicode(content)
        yield from read_pieces(io.StringIO(content, newline=""))
    elif isinstance(content, Sequence) and not isinstance(content, str):
        yield from _conversation(content)
    else:
        raise DataError(f"`{keys[0]}` is neither text nor a list of messages")


def record_keys(known: Sequence[str], text_key: str) -> tuple[str, ...]:
    """Returns the keys that are read, of those that a record has. Raises `DataError` if there are none."""
    for keys in ((text_key,), (MESSAGES,), (USER, ASSISTANT)):
        if all(key in known for key in keys):
            return keys
    listed = ", ".join(map(shown, known[:_KEYS_SHOWN])) + (", ..." if len(known) > _KEYS_SHOWN else "")
    there = f"there are {listed}" if known else "it is empty"
    raise DataError(
        f"there is no {shown(text_key)}; {there}",
        hint=did_you_mean(text_key, filter(str.isprintable, known))
        or "name the key that holds the text: `--text-key=...`",
    )


def _conversation(messages: Sequence[Any]) -> Iterator[Piece]:
    for piece in conversation_pieces(turns_of_messages(messages)):
        _check_unicode(piece.text)
        yield piece


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError("the text holds half of a surrogate pair, which is no character") from None
