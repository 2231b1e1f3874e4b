"""How much text some tokens stand for, where only the tokens are known."""

from collections.abc import Callable

import numpy as np

from alpha_core.tokenizer import Tokenizer
from alpha_train.data.token_ids import TokenIds

__all__ = ["bytes_per_token", "text_size"]

_DECODED_AT_ONCE = 1 << 16  # tokens
_SAMPLE = 1 << 20  # tokens


def text_size(
    tokens: TokenIds, tokenizer: Tokenizer, progress: Callable[[int], None] = lambda done: None
) -> tuple[int, int]:
    """Returns the bytes (as UTF-8) and the characters of the text of tokens, without specials.

    It is decoded in parts, each of which may be wrong by a few bytes if a character is divided between two of them.
    """
    sizes = {number: (len(text.encode()), len(text)) for text, number in tokenizer.specials.items()}
    text_bytes = characters = 0
    for start in range(0, len(tokens), _DECODED_AT_ONCE):
        part = tokens[start : start + _DECODED_AT_ONCE]
        text = tokenizer.decode(part.tolist())
        text_bytes += len(text.encode("utf-8", "surrogatepass"))
        characters += len(text)
        for number, (special_bytes, special_characters) in sizes.items():
            count = int(np.count_nonzero(part == number))
            text_bytes -= count * special_bytes
            characters -= count * special_characters
        progress(start + len(part))
    return text_bytes, characters


def bytes_per_token(tokens: TokenIds, tokenizer: Tokenizer) -> float:
    """Returns the mean size of a token's text, measured on the first million tokens."""
    sample = tokens[:_SAMPLE]
    return text_size(sample, tokenizer)[0] / max(len(sample), 1)
