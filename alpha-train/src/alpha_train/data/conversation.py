"""Conversations as documents: turns of a user and an assistant, between the chat specials.

A conversation reads `<|user|> Hello! <|assistant|> Hi, how are you?<|end_of_text|>`, with a space between its parts.
Only what the assistant says counts in the loss, and after it the special that ends its turn.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from alpha_core.errors import DataError
from alpha_core.tokenizer import CHAT_SPECIALS
from alpha_train.data.document import Piece, cut_text

__all__ = ["ASSISTANT", "USER", "Turn", "conversation_pieces", "turns_of_messages"]

USER, ASSISTANT, _SYSTEM = "user", "assistant", "system"


@attrs.frozen
class Turn:
    """What one side says."""

    role: str
    """`user` or `assistant`."""
    text: str


def conversation_pieces(turns: Sequence[Turn]) -> Iterator[Piece]:
    """Yields a conversation, without the `<|end_of_text|>` after it, and without whitespace around what is said.

    >>> turns = [Turn("user", "Hello!"), Turn("assistant", "Hi.")]
    >>> [(piece.text, piece.counts) for piece in conversation_pieces(turns)]
    [('<|user|>', False), (' Hello! ', False), ('<|assistant|>', False), (' Hi.', True)]
    """
    ends_answer = False
    for number, turn in enumerate(turns, 1):
        counts, is_last = turn.role == ASSISTANT, number == len(turns)
        yield Piece(f"<|{turn.role}|>", is_last=False, counts=ends_answer)
        text = f" {turn.text.strip()}" + ("" if is_last else " ")
        *parts, end = cut_text(text)
        for part in parts:
            yield Piece(part, is_last=False, counts=counts)
        yield Piece(end, is_last=is_last, counts=counts)
        ends_answer = counts


def turns_of_messages(messages: Sequence[Any]) -> list[Turn]:
    """Returns the turns of `[{"role": "user", "content": "Hello!"}, ...]`.

    A `system` message may come first; it stands in front of what the user says next, with a blank line between, or for
    it if the assistant speaks first. Raises `DataError` for messages of another form, and without an assistant's.
    """
    turns: list[Turn] = []
    system = ""
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping):
            raise DataError(f"message {number} is no object with `role` and `content`")
        role, content = message.get("role"), message.get("content")
        if not isinstance(content, str):
            raise DataError(f"message {number} has no text under `content`")
        _check_text(content, f"message {number}")
        if role == _SYSTEM and number == 1:
            system = content.strip()
        elif role == USER:
            turns.append(Turn(USER, f"{system}\n\n{content}"))
            system = ""
        elif role == ASSISTANT:
            turns += [Turn(USER, system)] if system else []
            turns.append(Turn(ASSISTANT, content))
            system = ""
        else:
            allowed = f"`{USER}`, `{ASSISTANT}`" + (f" or `{_SYSTEM}`" if number == 1 else "")
            raise DataError(f"the `role` of message {number} is not {allowed}")
    if not any(turn.role == ASSISTANT for turn in turns):
        raise DataError("the conversation has no message of the assistant, so there is nothing to learn from it")
    return turns


def _check_text(text: str, what: str) -> None:
    for special in CHAT_SPECIALS:
        if special in text:
            raise DataError(f"{what} holds the text `{special}`, which would end or begin a turn")
