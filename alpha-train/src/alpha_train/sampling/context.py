"""What the model sees of a text that may be longer than its block size."""

from collections.abc import Sequence

__all__ = ["extended_context", "first_context"]


def first_context(tokens: Sequence[int], block_size: int) -> tuple[int, ...]:
    """Returns what the model sees of a prompt: all of it, or its last `block_size` tokens."""
    return tuple(tokens[-block_size:])


def extended_context(context: tuple[int, ...], token: int, block_size: int) -> tuple[int, ...]:
    """Returns the context after one more token: of a full one, only the last half (`block_size // 2`) is kept first.

    A window that moved on by one with every token would give all of its tokens other positions each time, so nothing
    computed for them could be kept. Like this, a block is encoded anew once for half of it that is written.
    """
    if len(context) == block_size:
        context = context[block_size - block_size // 2 :]
    return (*context, token)
